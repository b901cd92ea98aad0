"""What the tokens of a picture show, counted by hand on a small page."""

import numpy as np
import pytest
from PIL import Image

from qwen2vl_agent.data.synthetic.canvas import Item, PlacedMark
from qwen2vl_agent.data.synthetic.marks import (
    ABSENT,
    BLANK,
    OTHER,
    ROLES,
    SPELLED,
    letter_class,
    token_targets,
    where_written,
)
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


def test_all_tokens_of_a_row_know_its_name_wherever_it_stands():
    row = PageItem(Item("Wi", (0, 0, 999, 499)), "row", clickable=True, checked=None)
    second = PageItem(Item("on", (500, 250, 990, 490)), "text", clickable=False, checked=None)
    star = PageItem(Item("Star", (500, 0, 990, 240)), "icon", clickable=True, checked=None)
    loose = PageItem(Item("x", (0, 500, 999, 999)), "text", clickable=False, checked=None)
    labels = token_targets(page([("W", 5, 5), ("i", 12, 5)], [row, second, star, loose]), ICONS).label
    name = sorted(letter_class(letter) for letter in "Wi")
    assert [np.flatnonzero(label).tolist() for label in labels] == [name, name, [], []]


def test_letters_are_told_in_turn_for_the_name_and_for_what_else_is_written():
    row = PageItem(Item("K Bail", (0, 0, 999, 499)), "row", clickable=True, checked=None)
    second = PageItem(Item("on", (0, 250, 999, 490)), "text", clickable=False, checked=None)
    marks = [("K", 2, 5), ("B", 10, 5), ("a", 18, 5), ("i", 30, 5), ("l", 35, 5), ("o", 2, 20), ("n", 8, 20)]
    targets = token_targets(page(marks, [row, second]), ICONS)
    blank = [BLANK] * SPELLED
    spell = lambda letters: [BLANK if one == " " else letter_class(one) for one in letters]  # noqa: E731
    assert targets.spelled[0].tolist() == [*(spell("K Ba") + blank)[:SPELLED], *(spell("on") + blank)[:SPELLED]]
    assert targets.spelled[1].tolist() == [*(spell("il") + blank)[:SPELLED], *[ABSENT] * SPELLED]
    assert targets.begun.tolist() == [[0, 0], [4, ABSENT], [ABSENT, ABSENT], [ABSENT, ABSENT]]


def test_letters_that_stand_out_of_their_box_a_little_are_still_its_own():
    text = PageItem(Item("on", (200, 0, 400, 499)), "text", clickable=False, checked=None)
    assert where_written(page([("o", 12, 5), ("n", 30, 5)], [text]), text.item) == (0, 1)
