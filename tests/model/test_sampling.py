"""What may be drawn, and how often."""

from collections import Counter

import pytest
import torch

from qwen2vl_agent.model.sampling import Sampler, SamplingConfig, logprob, nucleus

LOGITS = torch.tensor([0.2, 0.5, 0.3]).log()


def test_temperature_zero_takes_the_likeliest():
    assert Sampler(SamplingConfig()).choose(LOGITS) == 1


@pytest.mark.parametrize(
    ("config", "ids", "probabilities"),
    [
        (SamplingConfig(temperature=1.0), [1, 2, 0], [0.5, 0.3, 0.2]),
        (SamplingConfig(temperature=1.0, top_k=2), [1, 2], [0.625, 0.375]),
        (SamplingConfig(temperature=1.0, top_p=0.6), [1, 2], [0.625, 0.375]),
        (SamplingConfig(temperature=1.0, top_p=0.4), [1], [1.0]),
        (SamplingConfig(temperature=0.5), [1, 2, 0], [25 / 38, 9 / 38, 4 / 38]),
        (SamplingConfig(temperature=1.0, top_k=99, top_p=0.99), [1, 2, 0], [0.5, 0.3, 0.2]),
    ],
    ids=str,
)
def test_the_nucleus_is_what_top_k_and_top_p_leave(config, ids, probabilities):
    found, found_ids = nucleus(LOGITS, config)
    assert found_ids.tolist() == ids
    assert found.tolist() == pytest.approx(probabilities)


def test_draws_follow_the_probabilities():
    sampler = Sampler(SamplingConfig(temperature=1.0), seed=0)
    drawn = Counter(sampler.choose(LOGITS) for _ in range(3000))
    assert [drawn[i] / 3000 for i in range(3)] == pytest.approx([0.2, 0.5, 0.3], abs=0.04)


def test_draws_without_a_seed_differ_between_samplers():
    even = torch.zeros(1000)
    draws = {Sampler(SamplingConfig(temperature=1.0)).choose(even) for _ in range(5)}
    assert len(draws) > 1


def test_the_logprob_is_raw_whatever_the_sampling():
    assert logprob(LOGITS + 7, 2) == pytest.approx(torch.tensor(0.3).log().item())


def test_masked_tokens_are_left_out_whatever_the_rounding_so_that_a_seed_draws_the_same():
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        logits = torch.randn(400, generator=generator)
        logits[torch.randperm(400, generator=generator)[:100]] = float("-inf")
        for nearly in (logits, logits + 1e-6 * torch.randn(400, generator=generator)):
            assert len(nucleus(nearly, SamplingConfig(temperature=1.0))[0]) == 300


@pytest.mark.parametrize("temperature", [0.0, 2.0])
def test_what_is_never_to_be_written_is_not_drawn(temperature):
    logits = torch.tensor([5.0, 9.0, 4.0, 8.0])
    sampler = Sampler(SamplingConfig(temperature=temperature), seed=1, never=(1, 3))
    drawn = [sampler.draw(logits) for _ in range(200)]
    assert {token_id for token_id, _ in drawn} == ({0, 2} if temperature else {0})
    assert logits[1] == 9
    if temperature:
        share = sum(token_id == 0 for token_id, _ in drawn) / len(drawn)
        assert share == pytest.approx(torch.tensor([5.0, 4.0]).div(2).softmax(0)[0].item(), abs=0.1)
    else:
        assert drawn[0][1] == pytest.approx(logprob(logits, 0))
