"""Canvases: what is written on them is really there, inside its box and nowhere else."""

import random
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen2vl_agent.data.synthetic.canvas import Canvas, Item, text_canvas
from qwen2vl_agent.schema.geometry import MODEL_GRID, RESIZE_FACTOR

COLUMNS, ROWS = st.integers(2, 8), st.integers(1, 12)
CONTRAST = 60
"""Levels between ink and paper, in the colour in which they differ most, even of a thin glyph reduced to grey."""
BLUR = 3
"""Pixels by which the reduction smears ink over the edge of a box."""


def canvas(seed: int, columns: int = 6, rows: int = 6, longest: int | None = None) -> Canvas:
    return text_canvas(random.Random(seed), columns=columns, rows=rows, max_items=8, longest=longest)


def pixels_of(box: tuple[int, int, int, int], size: tuple[int, int], grown: int = 0) -> tuple[slice, slice]:
    """Rows and columns of the picture that a box of the grid covers."""
    left, top, right, bottom = (value * side / MODEL_GRID for value, side in zip(box, size * 2, strict=True))
    columns = slice(max(0, int(left) - grown), int(right) + 1 + grown)
    return slice(max(0, int(top) - grown), int(bottom) + 1 + grown), columns


def difference_from_paper(drawn: Canvas) -> np.ndarray:
    """[height, width] how far each pixel is from the commonest colour."""
    values = np.asarray(drawn.image).astype(int)
    colours, counts = np.unique(values.reshape(-1, 3), axis=0, return_counts=True)
    return np.abs(values - colours[counts.argmax()]).max(axis=2)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32), COLUMNS, ROWS)
def test_the_same_chances_draw_the_same_canvas(seed, columns, rows):
    one, other = canvas(seed, columns, rows), canvas(seed, columns, rows)
    assert one.items == other.items
    assert one.image.tobytes() == other.image.tobytes()


def test_other_chances_draw_other_canvases():
    assert len({canvas(seed).items for seed in range(20)}) == 20


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), COLUMNS, ROWS)
def test_a_picture_has_the_size_asked_for_in_whole_tokens(seed, columns, rows):
    drawn = canvas(seed, columns, rows)
    assert drawn.image.size == (columns * RESIZE_FACTOR, rows * RESIZE_FACTOR)
    assert drawn.image.mode == "RGB"


def test_rows_are_added_while_lines_are_wanted():
    for seed in range(30):
        for most in (1, 3):
            drawn = text_canvas(random.Random(seed), columns=6, rows=6, max_items=most)
            assert most <= len(drawn.items) <= most + 1  # the last row may have two lines


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), COLUMNS, ROWS)
def test_boxes_lie_on_the_grid_and_do_not_overlap(seed, columns, rows):
    items = canvas(seed, columns, rows).items
    for item in items:
        left, top, right, bottom = item.box
        assert 0 <= left < right < MODEL_GRID, item
        assert 0 <= top < bottom < MODEL_GRID, item
        assert left <= item.centre[0] < right, item
        assert top <= item.centre[1] < bottom, item
    for one, other in combinations(items, 2):
        assert apart(one, other), (one, other)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), COLUMNS, ROWS)
def test_ink_is_in_every_box_and_nowhere_else(seed, columns, rows):
    drawn = canvas(seed, columns, rows)
    difference = difference_from_paper(drawn)
    for item in drawn.items:
        assert difference[pixels_of(item.box, drawn.image.size)].max() > CONTRAST, item
    for item in drawn.items:
        difference[pixels_of(item.box, drawn.image.size, grown=BLUR)] = 0
    assert difference.max(initial=0) == 0


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), COLUMNS, ROWS, st.integers(1, 6))
def test_no_line_is_longer_than_asked(seed, columns, rows, longest):
    for item in canvas(seed, columns, rows, longest).items:
        assert 1 <= len(item.text) <= longest
        assert item.text == item.text.strip()


def test_lines_stand_in_reading_order():
    for seed in range(50):
        places = [(item.box[1], item.box[0]) for item in canvas(seed).items]
        assert places == sorted(places)


def test_both_dark_and_light_papers_occur():
    means = [np.asarray(canvas(seed).image).mean() for seed in range(40)]
    assert min(means) < 80
    assert max(means) > 190


@pytest.mark.parametrize(("box", "centre"), [((0, 0, 10, 20), (5, 10)), ((3, 4, 4, 6), (3, 5))])
def test_a_centre_is_the_middle_of_its_box(box, centre):
    assert Item("x", box).centre == centre


def apart(one: Item, other: Item) -> bool:
    """Whether two boxes share no cell."""
    beside = one.box[2] <= other.box[0] or other.box[2] <= one.box[0]
    return beside or one.box[3] <= other.box[1] or other.box[3] <= one.box[1]


def test_marks_spell_the_lines_and_stand_in_their_boxes():
    for seed in range(5):
        drawn = canvas(seed)
        assert "".join(mark.name for mark in drawn.marks) == "".join(i.text.replace(" ", "") for i in drawn.items)
        marks = iter(drawn.marks)
        for item in drawn.items:
            left, top, right, bottom = item.box
            for letter in item.text.replace(" ", ""):
                mark = next(marks)
                x, y = mark.x * 1000 / drawn.image.width, mark.y * 1000 / drawn.image.height
                assert mark.name == letter
                assert left - 8 <= x <= right + 8
                assert top - 8 <= y <= bottom + 8
