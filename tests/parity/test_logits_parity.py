"""The same weights give the same logits, positions and greedy tokens as in transformers."""

from dataclasses import replace

import pytest
import torch
from hf_reference import pair, reference_arguments
from model_sequences import LAYOUTS, PUBLISHED_HEADS, SMALL, UNTIED, sequence

from qwen2vl_agent.model.inputs import pad_left

TOLERANCE = 1e-4
GREEDY_TOKENS = 64


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
@pytest.mark.parametrize("config", [SMALL, UNTIED, PUBLISHED_HEADS], ids=["tied", "untied", "published heads"])
def test_logits_are_those_of_transformers(config, layout):
    ours, reference = pair(config)
    inputs = sequence(layout, config, seed=3)
    with torch.no_grad():
        expected = reference(**reference_arguments(inputs, config)).logits[0]
        found = ours(inputs)
    assert expected.std() > 0.3, "the weights are too small to show an error"
    assert (found - expected).abs().max() < TOLERANCE


def test_a_left_padded_batch_gives_the_logits_of_transformers():
    ours, reference = pair(SMALL)
    rows = [sequence(layout, seed=seed) for seed, layout in enumerate(LAYOUTS.values())]
    batch = pad_left(rows, SMALL.pad_token_id)
    with torch.no_grad():
        expected = reference(**reference_arguments(batch, SMALL)).logits
        found = ours(batch)
    assert found.shape == expected.shape
    assert (found - expected)[batch.attention_mask].abs().max() < TOLERANCE


def test_a_long_video_gives_the_logits_of_transformers_at_the_right_positions():
    ours, reference = pair(SMALL)
    inputs = sequence((5, ("video", 9, 4, 6), 8))
    arguments = reference_arguments(inputs, SMALL) | {"position_ids": inputs.position_ids[:, None]}
    with torch.no_grad():
        expected = reference(**arguments).logits[0]
        found = ours(inputs)
    assert (found - expected).abs().max() < TOLERANCE


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_positions_are_those_of_transformers(layout):
    _, reference = pair(SMALL)
    inputs = sequence(layout)
    arguments = reference_arguments(inputs, SMALL)
    expected, _ = reference.model.get_rope_index(**arguments)
    assert torch.equal(inputs.position_ids, expected[:, 0])


def test_positions_of_a_batch_are_those_of_transformers_on_the_tokens_that_count():
    _, reference = pair(SMALL)
    batch = pad_left([sequence(layout) for layout in LAYOUTS.values()], SMALL.pad_token_id)
    arguments = reference_arguments(batch, SMALL)
    expected, _ = reference.model.get_rope_index(**arguments)
    assert torch.equal(batch.position_ids, expected)


@pytest.mark.parametrize("name", ["text", "one image", "images and videos in turn"])
def test_sixty_four_greedy_tokens_are_those_of_transformers(name, monkeypatch):
    ours, reference = pair(UNTIED)
    monkeypatch.setattr(ours, "config", replace(UNTIED, eos_token_ids=()))
    inputs = sequence(LAYOUTS[name], UNTIED, seed=5)
    written = reference.generate(
        **reference_arguments(inputs, UNTIED), max_new_tokens=GREEDY_TOKENS, do_sample=False, use_cache=True
    )
    expected = written[0, len(inputs.input_ids) :].tolist()
    assert len(set(expected)) > 5, "a loop of a few tokens shows little"
    assert len(expected) == GREEDY_TOKENS
    assert ours.generate(inputs, max_new_tokens=GREEDY_TOKENS).token_ids == expected


def test_greedy_tokens_of_a_batch_are_those_of_transformers():
    ours, reference = pair(UNTIED)
    batch = pad_left([sequence(LAYOUTS[name], UNTIED) for name in ("text", "one image")], UNTIED.pad_token_id)
    written = reference.generate(**reference_arguments(batch, UNTIED), max_new_tokens=16, do_sample=False)
    expected = written[:, batch.input_ids.shape[1] :].tolist()
    assert [result.token_ids for result in ours.generate(batch, max_new_tokens=16)] == expected
