"""Generation: how it ends, what it reports, and that a full pass over what was written says the same."""

import pytest
import torch
from model_sequences import LAYOUTS, SMALL, UNTIED, continued, randomise, sequence

from qwen2vl_agent.model.inputs import pad_left
from qwen2vl_agent.model.qwen2vl import Qwen2VL


@pytest.fixture(scope="module")
def model():
    return randomise(Qwen2VL(UNTIED)).eval()


@pytest.fixture(scope="module")
def inputs():
    return sequence(LAYOUTS["images and videos in turn"], UNTIED, seed=5)


@pytest.mark.parametrize("temperature", [0.0, 1.0, 5.0])
def test_scoring_what_was_written_gives_the_logprobs_reported(model, inputs, temperature):
    result = model.generate(inputs, max_new_tokens=40, temperature=temperature, seed=1)
    scores = model.score(continued(inputs, result.token_ids, UNTIED))
    assert scores.shape == (len(inputs.input_ids) + len(result.token_ids) - 1,)
    assert result.logprobs == pytest.approx(scores[-len(result.token_ids) :].tolist(), abs=1e-4)


def test_scores_are_the_log_probabilities_of_the_logits(model, inputs):
    with torch.no_grad():
        logprobs = model(inputs).log_softmax(-1)
    expected = logprobs[:-1].gather(1, inputs.input_ids[1:, None])[:, 0]
    torch.testing.assert_close(model.score(inputs), expected)


def test_greedy_writing_takes_the_likeliest_token_of_a_full_pass(model, inputs):
    result = model.generate(inputs, max_new_tokens=12)
    with torch.no_grad():
        logits = model(continued(inputs, result.token_ids, UNTIED))
    assert logits[len(inputs.input_ids) - 1 : -1].argmax(-1).tolist() == result.token_ids


def test_rows_of_a_batch_are_written_as_if_alone(model):
    rows = [sequence(layout, UNTIED, seed=seed) for seed, layout in enumerate(LAYOUTS.values())]
    together = model.generate(pad_left(rows, UNTIED.pad_token_id), max_new_tokens=10)
    for row, result in zip(rows, together, strict=True):
        alone = model.generate(row, max_new_tokens=10)
        assert result.token_ids == alone.token_ids
        assert result.logprobs == pytest.approx(alone.logprobs, abs=1e-4)
        assert result.stopped_by == alone.stopped_by
        assert set(result.timings) == {"vit", "prefill", "decode"}


def test_rows_of_a_batch_draw_with_their_own_seeds(model):
    row = sequence((9,), UNTIED)
    together = model.generate(pad_left([row, row], 0), max_new_tokens=12, temperature=2.0, seed=7)
    alone = [model.generate(row, max_new_tokens=12, temperature=2.0, seed=seed) for seed in (7, 8)]
    assert [result.token_ids for result in together] == [result.token_ids for result in alone]
    assert alone[0].token_ids != alone[1].token_ids


def test_a_seed_makes_the_draws_repeat(model, inputs):
    first, second, other = (
        model.generate(inputs, max_new_tokens=12, temperature=3.0, seed=seed).token_ids for seed in (3, 3, 4)
    )
    assert first == second
    assert first != other


def test_writing_ends_with_the_end_of_sequence_id_which_is_reported():
    model = randomise(Qwen2VL(SMALL))
    row = sequence((9,))
    written = model.generate(row, max_new_tokens=12, temperature=3.0, seed=0).token_ids
    model.config = type(SMALL)(text=SMALL.text, vision=SMALL.vision, eos_token_ids=(written[4], 291))
    result = model.generate(row, max_new_tokens=12, temperature=3.0, seed=0)
    assert result.stopped_by == "eos"
    assert result.token_ids == written[: written.index(written[4]) + 1]


def test_writing_ends_with_a_stop_sequence_which_is_reported(model, inputs):
    free = model.generate(inputs, max_new_tokens=12)
    stop = free.token_ids[4:7]
    result = model.generate(inputs, max_new_tokens=12, stop=[[1, 2, 3, 4], stop])
    assert result.stopped_by == "stop"
    assert result.token_ids[-3:] == stop
    assert result.token_ids == free.token_ids[: len(result.token_ids)]


def test_writing_ends_at_its_limit(model, inputs):
    result = model.generate(inputs, max_new_tokens=3)
    assert result.stopped_by == "length"
    assert len(result.token_ids) == len(result.logprobs) == 3


def test_tokens_are_told_as_they_are_chosen(model, inputs):
    told: list[int] = []
    result = model.generate(inputs, max_new_tokens=6, on_token=told.append)
    assert told == result.token_ids


def test_the_time_of_each_part_is_measured(model, inputs):
    timings = model.generate(inputs, max_new_tokens=2).timings
    assert set(timings) == {"vit", "prefill", "decode"}
    assert all(seconds > 0 for seconds in timings.values())


def test_nothing_of_one_writing_is_left_on_the_model_for_the_next(model, inputs):
    text = sequence((20,), UNTIED)
    before = model.generate(text, max_new_tokens=8).logprobs
    model.generate(inputs, max_new_tokens=8)
    assert model.generate(text, max_new_tokens=8).logprobs == before


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens"),
        ({"stop": [[]]}, "stop sequence is empty"),
        ({"temperature": -1.0}, "temperature"),
        ({"top_p": 0.0}, "top_p"),
    ],
)
def test_settings_that_make_no_sense_are_refused(model, inputs, wrong, says):
    with pytest.raises(ValueError, match=says):
        model.generate(inputs, **wrong)


def test_a_batch_takes_no_callback(model):
    with pytest.raises(ValueError, match="one by one"):
        model.generate(pad_left([sequence((3,), UNTIED)], 0), on_token=print)
