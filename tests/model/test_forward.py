"""One network, many ways to feed it: packed, padded, cached and single passes agree, and train."""

import copy

import pytest
import torch
from model_sequences import LAYOUTS, SMALL, UNTIED, randomise, sequence

from qwen2vl_agent.model.cache import Cache
from qwen2vl_agent.model.inputs import pack, pad_left
from qwen2vl_agent.model.qwen2vl import Qwen2VL

TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def model():
    return randomise(Qwen2VL(SMALL)).eval()


@pytest.fixture(scope="module")
def rows():
    return [sequence(layout, seed=seed) for seed, layout in enumerate(LAYOUTS.values())]


@pytest.fixture(scope="module")
def alone(model, rows):
    with torch.no_grad():
        return [model(row) for row in rows]


def test_a_packed_row_gives_each_sequence_what_it_gets_alone(model, rows, alone):
    with torch.no_grad():
        packed = model(pack(rows)).split([len(row.input_ids) for row in rows])
    for found, expected in zip(packed, alone, strict=True):
        torch.testing.assert_close(found, expected, atol=TOLERANCE, rtol=0)


def test_a_padded_batch_gives_each_sequence_what_it_gets_alone(model, rows, alone):
    with torch.no_grad():
        batch = model(pad_left(rows, SMALL.pad_token_id))
    for found, expected in zip(batch, alone, strict=True):
        torch.testing.assert_close(found[-len(expected) :], expected, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("first", [1, 4, 9, 17])
def test_reading_in_two_parts_gives_the_states_of_one_pass(model, rows, first):
    for row in rows:
        cache = Cache()
        whole = model.hidden_states(row)
        if not bool((row.input_ids[:first] >= 295).any()):
            start = sequence((first,))
            start.input_ids = row.input_ids[:first]
            model.hidden_states(start, cache=cache)
            assert cache.length == min(first, len(row.input_ids))
        rest = model.hidden_states(row, cache=cache)
        torch.testing.assert_close(rest, whole[-len(rest) :], atol=TOLERANCE, rtol=0)
        assert cache.length == len(row.input_ids)


def test_the_last_state_alone_is_the_last_of_all(model, rows):
    for row in (rows[1], pad_left(rows, SMALL.pad_token_id)):
        last = model.hidden_states(row, last_only=True)
        torch.testing.assert_close(last, model.hidden_states(row)[..., -1:, :])


def test_pictures_decide_the_logits(model):
    one, other = sequence(LAYOUTS["one image"], seed=1), sequence(LAYOUTS["one image"], seed=1)
    other.pixel_values = other.pixel_values.flip(0)
    with torch.no_grad():
        assert (model(one)[-1] - model(other)[-1]).abs().max() > 1e-3


@pytest.mark.parametrize("config", [SMALL, UNTIED], ids=["tied", "untied"])
def test_a_packed_row_trains_every_parameter_also_under_autocast(config, rows):
    model = Qwen2VL(config, seed=0)
    inputs = pack(rows)
    gradients = []
    for enabled in (False, True):
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            logits = model.lm_head(model.hidden_states(inputs))
        torch.nn.functional.cross_entropy(logits[:-1].float(), inputs.input_ids[1:]).backward()
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())
        assert all(p.grad.dtype == torch.float32 for p in model.parameters())
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    assert torch.nn.functional.cosine_similarity(*gradients, dim=0) > 0.99


def test_gradients_of_a_packed_row_are_the_sum_of_those_alone(rows):
    model = randomise(Qwen2VL(SMALL)).double()
    rows = [copy.copy(row).to(dtype=torch.float64) for row in rows]

    def loss(logits, ids):
        return torch.nn.functional.cross_entropy(logits, ids, reduction="sum")

    for row in rows:
        loss(model(row), row.input_ids).backward()
    alone = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    packed = pack(rows)
    loss(model(packed), packed.input_ids).backward()
    for parameter, expected in zip(model.parameters(), alone, strict=True):
        torch.testing.assert_close(parameter.grad, expected)


def test_an_image_too_many_is_refused(model):
    inputs = sequence(LAYOUTS["one image"])
    inputs.input_ids = inputs.input_ids.clone()
    inputs.input_ids[5] = 7
    with pytest.raises(ValueError, match="vision tokens in the text"):
        model(inputs)


def test_patches_that_do_not_fit_the_grid_are_refused(model):
    inputs = sequence(LAYOUTS["one image"])
    inputs.pixel_values = inputs.pixel_values[:-1]
    with pytest.raises(ValueError, match="do not fit grids of 60 patches"):
        model(inputs)


def test_batches_and_packed_rows_are_made_of_single_sequences_only(rows):
    with pytest.raises(ValueError, match="single sequences"):
        pack([pack(rows)])
    with pytest.raises(ValueError, match="single sequences"):
        pad_left([], 0)


def test_moving_inputs_changes_the_type_of_the_patches_only(rows):
    moved = rows[1].to("cpu", torch.bfloat16)
    assert moved.pixel_values.dtype == torch.bfloat16
    assert moved.input_ids.dtype == torch.int64
    assert rows[1].pixel_values.dtype == torch.float32
