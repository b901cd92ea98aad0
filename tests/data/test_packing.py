"""Packing keeps every token, and finds the targets."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from training_doubles import Copying, LetterProcessor

from qwen2vl_agent.data.mixture import Mixture
from qwen2vl_agent.data.packing import Row, from_wire, pack, to_wire
from qwen2vl_agent.data.worker import encode_row

MIXTURE = Mixture(((Copying("a"), 1), (Copying("b", columns=4), 2)))


def row(position: int) -> Row:
    return encode_row(MIXTURE, LetterProcessor(), position, torch.float32)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=8))
def test_packing_conserves_tokens_labels_and_patches(positions):
    rows = [row(position) for position in positions]
    batch = pack(rows, 9)
    assert batch.inputs.segment_lengths == tuple(r.num_tokens for r in rows)
    assert torch.equal(batch.inputs.input_ids, torch.cat([r.inputs.input_ids for r in rows]))
    assert torch.equal(batch.labels, torch.cat([r.labels for r in rows]))
    patches = sum(0 if r.inputs.pixel_values is None else len(r.inputs.pixel_values) for r in rows)
    assert (0 if batch.inputs.pixel_values is None else len(batch.inputs.pixel_values)) == patches
    assert batch.position == 9


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=8))
def test_every_target_is_predicted_from_the_token_before_it_in_its_own_example(positions):
    batch = pack([row(position) for position in positions])
    targets = batch.targets
    assert torch.equal(batch.labels[targets.where + 1], targets.ids)
    assert torch.equal(batch.inputs.input_ids[targets.where + 1], targets.ids)
    assert len(targets.ids) == int((batch.labels != -100).sum())
    owner = torch.repeat_interleave(torch.arange(len(positions)), torch.tensor(batch.inputs.segment_lengths))
    assert torch.equal(owner[targets.where], owner[targets.where + 1])
    for place, number in zip(targets.where.tolist(), targets.source.tolist(), strict=True):
        assert batch.sources[number] == MIXTURE.pick(positions[int(owner[place])])[0].name


def test_weights_follow_their_example():
    rows = [replace(row(1), weight=0.5), replace(row(2), weight=2.0)]
    counts = [int((r.labels != -100).sum()) for r in rows]
    assert pack(rows).targets.weights.tolist() == [0.5] * counts[0] + [2.0] * counts[1]


def test_a_target_with_nothing_before_it_is_refused():
    first = row(1)
    labels = first.labels.clone()
    labels[0] = first.inputs.input_ids[0]
    with pytest.raises(ValueError, match="nothing comes before"):
        pack([row(2), replace(first, labels=labels)])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_row_survives_the_pipe(dtype):
    sent = row(2)
    assert sent.inputs.pixel_values is not None
    got = from_wire(to_wire(sent, dtype), dtype)
    for name in ("input_ids", "position_ids", "image_grid_thw"):
        assert torch.equal(getattr(sent.inputs, name), getattr(got.inputs, name))
        assert getattr(got.inputs, name).dtype is torch.int64
    assert torch.equal(sent.labels, got.labels)
    assert torch.equal(sent.inputs.pixel_values.to(dtype), got.inputs.pixel_values)
    assert (got.source, got.weight) == (sent.source, sent.weight)


def test_a_row_without_a_picture_survives_the_pipe():
    sent = next(r for r in map(row, range(20)) if r.inputs.pixel_values is None)
    got = from_wire(to_wire(sent, torch.bfloat16), torch.bfloat16)
    assert got.inputs.pixel_values is None
    assert got.inputs.image_grid_thw is None
