"""Conversations about canvases: pure, answered rightly, and only the answers to be learnt."""

import pickle
import random
import re

import pytest

from qwen2vl_agent.data.example import Example
from qwen2vl_agent.data.synthetic.canvas import Item
from qwen2vl_agent.data.synthetic.reading import (
    READ_PLACES,
    SYSTEM,
    ReadingSource,
    conversation,
    find,
    name,
    point_text,
    read,
    read_places,
)
from qwen2vl_agent.schema.messages import ImagePart, TextPart

ITEM = Item("Wifi", (100, 200, 301, 240))
POINT = re.compile(r"<\|box_start\|>\((\d+),(\d+)\)<\|box_end\|>")
SOURCE = ReadingSource(name="canvases", columns=(5, 8), rows=(5, 9), max_items=8, places=0.5, questions=6)


def turns(example: Example) -> list[tuple[str, str]]:
    """Questions and answers; a question without words is an empty text."""
    said = ["".join(part.text for part in turn.parts if isinstance(part, TextPart)) for turn in example.messages[1:]]
    return list(zip(said[::2], said[1::2], strict=True))


def told(example: Example) -> list[tuple]:
    """Everything of an example that can be compared, the picture as its bytes."""
    return [
        (turn.role, *(part.image.tobytes() if isinstance(part, ImagePart) else part for part in turn.parts))
        for turn in example.messages
    ]


def items_of(source: ReadingSource, index: int) -> tuple[Item, ...]:
    """The canvas behind an example: the source draws it before anything else."""
    return source._canvas(random.Random(f"{source.seed}/{source.name}/{index}")).items


def test_an_example_is_a_pure_function_of_its_index():
    copy = pickle.loads(pickle.dumps(SOURCE))
    backwards = [told(SOURCE.example(index)) for index in reversed(range(6))][::-1]
    assert [told(copy.example(index)) for index in range(6)] == backwards
    assert backwards[0] != backwards[1]


def test_seed_and_name_give_other_examples():
    others = [ReadingSource(name="words", questions=1), ReadingSource(name="canvases", seed=1, questions=1)]
    first = told(ReadingSource(name="canvases", questions=1).example(0))
    assert all(told(other.example(0)) != first for other in others)


def test_only_what_the_assistant_says_is_learnt():
    for index in range(10):
        example = SOURCE.example(index)
        assert example.source == "canvases"
        assert example.messages[0].role == "system"
        assert [turn.role for turn in example.messages[1:]] == ["user", "assistant"] * (len(example.messages) // 2)
        for turn in example.messages:
            for part in turn.parts:
                assert getattr(part, "target", False) == (turn.role == "assistant"), turn


def test_a_picture_is_shown_once_with_the_first_question():
    example = conversation("picture", [read((ITEM,)), find(ITEM)], "s")
    assert example.messages[0].parts == (TextPart(SYSTEM),)
    assert example.messages[1].parts == (ImagePart("picture"),)  # to read is what is asked where nothing else is
    assert example.messages[3].parts == (TextPart('Where is "Wifi"?'),)


def test_a_transcription_is_the_lines_of_the_picture():
    source = ReadingSource(name="lines", columns=(4, 8), rows=(2, 4), max_items=4)
    for index in range(10):
        items = items_of(source, index)
        assert turns(source.example(index)) == [("", "\n".join(item.text for item in items))]
    assert read_places((ITEM,)) == (READ_PLACES, f"Wifi {point_text(ITEM)}")


def test_every_pointing_answer_lies_in_its_line_and_every_naming_answer_is_what_stands_there():
    asked = {"find": 0, "name": 0}
    for index in range(25):
        items = items_of(SOURCE, index)
        for question, answer in turns(SOURCE.example(index)):
            if wanted := re.fullmatch(r'Where is "(.*)"\?', question):
                asked["find"] += 1
                x, y = (int(number) for number in POINT.fullmatch(answer).groups())
                assert [wanted[1]] == [item.text for item in items if _holds(item, x, y)]
            elif place := re.fullmatch(r"What is at \((\d+),(\d+)\)\?", question):
                asked["name"] += 1
                assert [answer] == [item.text for item in items if _holds(item, int(place[1]), int(place[2]))]
            else:
                assert question in ("", READ_PLACES)
    assert asked == {"find": 75, "name": 75}


def test_questions_are_about_lines_that_stand_there_once():
    letters = ReadingSource(name="letters", columns=(8, 8), rows=(6, 6), max_items=8, longest=1, questions=8)
    for index in range(10):
        texts = [item.text for item in items_of(letters, index)]
        once = {text for text in texts if texts.count(text) == 1} or set(texts)
        for question, _ in turns(letters.example(index))[1:]:
            if wanted := re.fullmatch(r'Where is "(.*)"\?', question):
                assert wanted[1] in once


def test_a_document_of_pictures_teaches_what_each_of_them_says():
    source = ReadingSource(name="words", columns=(2, 4), rows=(1, 1), max_items=1, pictures=4)
    example = source.example(3)
    assert told(example) == told(source.example(3))
    parts = example.messages[1].parts
    rng = random.Random("0/words/3")
    for picture, text in zip(parts[::2], parts[1::2], strict=True):
        canvas = source._canvas(rng)
        assert picture.image.tobytes() == canvas.image.tobytes()
        assert text == TextPart("\n".join(item.text for item in canvas.items) + "\n", target=True)
    assert len(parts) == 8


def test_a_canvas_without_questions_is_always_transcribed():
    silent = ReadingSource(name="lines", transcribe=0.0)
    assert all(len(turns(silent.example(index))) == 1 for index in range(5))


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
