"""What the tokens of a picture show, counted by hand on a small page."""

import numpy as np
import pytest
from PIL import Image

from qwen2vl_agent.data.synthetic.canvas import Item, PlacedMark
from qwen2vl_agent.data.synthetic.marks import ABSENT, BLANK, OTHER, ROLES, letter_class, token_targets
from qwen2vl_agent.data.synthetic.page_store import PageItem, RecordedPage

ICONS = {"wifi": 0, "add": 1}


def page(marks: list[tuple[str, int, int]], items: list[PageItem] | None = None) -> RecordedPage:
    """A picture of 2 x 2 tokens."""
    return RecordedPage(Image.new("RGB", (56, 56)), tuple(items or ()), "p", tuple(PlacedMark(*mark) for mark in marks))


def test_a_letter_belongs_to_the_strip_of_the_patch_that_holds_its_middle():
    letters = token_targets(page([("A", 0, 0), ("b", 13, 13), ("7", 14, 0), ("c", 30, 45)]), ICONS).letters
    expected = np.zeros((4, 16), np.int64)
    expected[0, 0] = letter_class("A")  # first patch, first strip
    expected[0, 3] = letter_class("b")  # first patch, last strip
    expected[0, 4] = letter_class("7")  # second patch of the first token
    expected[3, 8] = letter_class("c")  # last token, its third patch (lower left)
    np.testing.assert_array_equal(letters, expected)


def test_two_narrow_letters_of_one_strip_stand_side_by_side():
    letters = token_targets(page([("i", 0, 0), ("l", 2, 0)]), ICONS).letters
    assert letters[0, :3].tolist() == [letter_class("i"), letter_class("l"), BLANK]


def test_a_letter_that_is_not_told_apart_is_still_a_letter():
    assert token_targets(page([("ß", 0, 0)]), ICONS).letters[0, 0] == OTHER


def test_icons_are_numbered_from_one_and_none_is_nought():
    icon = token_targets(page([("icon:add", 40, 10), ("icon:unheard-of", 10, 40)]), ICONS).icon
    assert icon.tolist() == [0, 2, 0, 0]


def test_a_token_belongs_to_the_smallest_element_around_its_middle_or_with_its_middle_in_it():
    row = PageItem(Item("Wi Fi", (0, 0, 999, 499)), "row", clickable=True, checked=None)
    switch = PageItem(Item("Wi Fi", (600, 100, 990, 400)), "switch", clickable=True, checked=True)
    small = PageItem(Item("x", (10, 900, 60, 960)), "button", clickable=True, checked=None)
    targets = token_targets(page([], [row, switch, small]), ICONS)
    assert targets.role.tolist() == [ROLES.index("row"), ROLES.index("switch"), ROLES.index("button"), ABSENT]
    assert targets.state.tolist() == [0, 2, 0, ABSENT]
    assert targets.place[0].tolist() == [4, 9, 9, 2, 4, 9]
    assert set(targets.place[3]) == {ABSENT}


def test_every_token_of_a_text_knows_all_letters_of_the_text():
    text = PageItem(Item("Wi Fi", (0, 0, 999, 499)), "row", clickable=True, checked=None)
    marks = [("W", 5, 5), ("i", 12, 5), ("F", 35, 5), ("i", 40, 5)]
    bags = token_targets(page(marks, [text]), ICONS).bag
    held = sorted(letter_class(letter) for letter in "WiF")
    assert [np.flatnonzero(bag).tolist() for bag in bags] == [held, held, [], []]


def test_a_switch_that_is_off_is_told_from_one_that_is_on():
    off = PageItem(Item("x", (0, 0, 999, 999)), "switch", clickable=True, checked=False)
    assert set(token_targets(page([], [off]), ICONS).state.tolist()) == {1}


@pytest.mark.parametrize("letter", ["é", "漢", "\n"])
def test_every_letter_has_a_class(letter):
    assert letter_class(letter) == OTHER
