"""Questions about a picture: answered rightly, and only the answers to be learnt."""

import random
import re

import pytest

from qwen2vl_agent.data.synthetic.canvas import Item
from qwen2vl_agent.data.synthetic.reading import (
    SYSTEM,
    conversation,
    find,
    name,
    read,
)
from qwen2vl_agent.schema.messages import ImagePart, TextPart

ITEM = Item("Wifi", (100, 200, 301, 240))
POINT = re.compile(r"<\|box_start\|>\((\d+),(\d+)\)<\|box_end\|>")


def test_a_picture_is_shown_once_with_the_first_question():
    example = conversation("picture", [read((ITEM,)), find(ITEM)], "s")
    assert example.messages[0].parts == (TextPart(SYSTEM),)
    assert example.messages[1].parts == (ImagePart("picture"),)  # to read is what is asked where nothing else is
    assert example.messages[3].parts == (TextPart('Where is "Wifi"?'),)


def test_a_transcription_is_the_lines_of_the_picture():
    assert read((ITEM, ITEM)) == ("", "Wifi\nWifi")


@pytest.mark.parametrize("box", [(0, 0, 1, 1), (998, 998, 999, 999), (10, 10, 500, 30)])
def test_places_asked_about_and_told_lie_inside_even_the_smallest_box(box):
    item, rng = Item("x", box), random.Random(0)
    for _ in range(20):
        place = re.fullmatch(r"What is at \((\d+),(\d+)\)\?", name(item, rng)[0])
        assert _holds(item, int(place[1]), int(place[2]))
    assert _holds(item, *(int(number) for number in POINT.fullmatch(find(item)[1]).groups()))


def _holds(item: Item, x: int, y: int) -> bool:
    left, top, right, bottom = item.box
    return left <= x < right and top <= y < bottom
