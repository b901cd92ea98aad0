"""Positions of M-RoPE, by hand."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from model_sequences import SMALL

from qwen2vl_agent.model.mrope import mrope_positions
from qwen2vl_agent.model.spans import vision_spans

IMAGE, VIDEO = SMALL.image_token_id, SMALL.video_token_id


def test_text_is_counted_in_all_three_components():
    assert mrope_positions([5, 6, 7], None, None, SMALL).tolist() == [[0, 1, 2]] * 3


def test_an_image_holds_time_still_and_text_goes_on_after_its_longer_side():
    ids = [1, 2, *[IMAGE] * 6, 3, 4]
    assert mrope_positions(ids, [[1, 4, 6]], None, SMALL).tolist() == [
        [0, 1, 2, 2, 2, 2, 2, 2, 5, 6],
        [0, 1, 2, 2, 2, 3, 3, 3, 5, 6],
        [0, 1, 2, 3, 4, 2, 3, 4, 5, 6],
    ]


def test_time_grows_by_one_for_every_merged_frame_of_a_video():
    ids = [1, *[VIDEO] * 6, 2]
    assert mrope_positions(ids, None, [[3, 2, 4]], SMALL).tolist() == [
        [0, 1, 1, 2, 2, 3, 3, 4],
        [0, 1, 1, 1, 1, 1, 1, 4],
        [0, 1, 2, 1, 2, 1, 2, 4],
    ]


def test_text_after_a_long_video_goes_on_after_its_last_frame():
    """Twenty merged frames of 2 x 3 cells from position 4 reach 23, so the text goes on at 24."""
    ids = [*range(4), *[VIDEO] * 120, 9, 9]
    positions = mrope_positions(ids, None, torch.tensor([[20, 4, 6]]), SMALL)
    assert positions[:, 123].tolist() == [23, 5, 6]
    assert positions[:, 124:].tolist() == [[24, 25]] * 3


def test_an_image_after_a_video_starts_after_it_too():
    ids = [*[VIDEO] * 4, *[IMAGE] * 1, 7]
    positions = mrope_positions(ids, [[1, 2, 2]], [[4, 2, 2]], SMALL)
    assert positions[:, 4:].tolist() == [[4, 5]] * 3


@pytest.mark.parametrize(
    ("ids", "images", "says"),
    [
        ([1, IMAGE, 2], None, "more than the 0 grids"),
        ([1, IMAGE, 2], [[1, 4, 4]], "needs 4 tokens"),
        ([1, 2], [[1, 2, 2]], "tokens for 0"),
        ([IMAGE, IMAGE], [[1, 2, 2]], "more than the 1 grids"),
    ],
)
def test_tokens_and_grids_that_disagree_are_refused(ids, images, says):
    with pytest.raises(ValueError, match=says):
        mrope_positions(ids, images, None, SMALL)


@given(st.lists(st.one_of(st.integers(1, 4), st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(1, 4)))))
def test_positions_never_go_back_and_never_leave_a_gap(pieces):
    ids, grids = [], []
    for piece in pieces:
        if isinstance(piece, int):
            ids += [1] * piece
        else:
            t, h, w = piece
            ids += [VIDEO] * (t * h * w)
            grids.append([t, 2 * h, 2 * w])
    positions = mrope_positions(ids, None, grids, SMALL)
    reached = -1
    spans = {span.start: span for span in vision_spans(ids, None, grids, SMALL)}
    place = 0
    while place < len(ids):
        end = spans[place].end if place in spans else place + 1
        assert int(positions[:, place:end].min()) == reached + 1
        reached = int(positions[:, place:end].max())
        place = end
