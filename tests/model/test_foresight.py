"""Reading ahead: what is forced or guessed changes no probability, no token and nothing in the cache."""

import itertools
from collections import Counter
from dataclasses import replace

import pytest
import torch
from model_sequences import UNTIED, continued, randomise, sequence

from qwen2vl_agent.model.cache import Cache
from qwen2vl_agent.model.generate import Ending, Foresight, GenerationResult, _Writer
from qwen2vl_agent.model.generate_many import Request, answer_many, generate_many
from qwen2vl_agent.model.inputs import pad_left
from qwen2vl_agent.model.lookup import Lookup
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.model.sampling import Sampler, SamplingConfig

EVEN = torch.arange(UNTIED.text.vocab_size) % 2 == 0


class Rails:
    """Free tokens, of even ids where there are masks, and stretches that are forced after them, in turn."""

    def __init__(self, *stretches: list[int], at_once: bool = True, mask: bool = False) -> None:
        self._stretches = [list(stretch) for stretch in stretches]
        self._at_once, self._mask = at_once, mask
        self._free = False
        self.open = False

    def forced(self) -> list[int]:
        if not self._free or not self._stretches:
            return []
        return self._stretches[0] if self._at_once else self._stretches[0][:1]

    def allowed(self) -> torch.Tensor | None:
        return EVEN if self._mask else None

    def accept(self, token_id: int) -> None:
        if self.forced():
            assert self._stretches[0].pop(0) == token_id
            if not self._stretches[0]:
                self._stretches.pop(0)
                self._free = False
        else:
            self._free = True

    @property
    def finished(self) -> bool:
        return not self._stretches


STRETCHES = [7, 7, 31, 8, 200, 9], [11], [3, 4, 5]


@pytest.fixture(scope="module")
def model():
    return randomise(Qwen2VL(UNTIED)).eval()


@pytest.fixture(scope="module")
def inputs():
    return sequence((6, ("image", 1, 4, 6), 9), UNTIED, seed=5)


@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_forced_tokens_read_in_one_pass_have_the_probabilities_that_they_have_one_by_one(model, inputs, temperature):
    settings = {"temperature": temperature, "seed": 2, "max_new_tokens": 40}
    together = model.generate(inputs, constraint=Rails(*STRETCHES), **settings)
    singly = model.generate(inputs, constraint=Rails(*STRETCHES, at_once=False), **settings)
    assert together.token_ids == singly.token_ids
    assert together.logprobs == pytest.approx(singly.logprobs, abs=1e-5)
    scores = model.score(continued(inputs, together.token_ids, UNTIED))[-len(together.token_ids) :]
    assert together.logprobs == pytest.approx(scores.tolist(), abs=1e-5)
    assert (together.passes, singly.passes) == (3, 7)


def test_what_was_forced_is_told_and_stood_at_no_choice(model, inputs):
    result = model.generate(inputs, constraint=Rails(*STRETCHES), max_new_tokens=40)
    assert result.forced == [False, *[True] * 6, False, True, False, *[True] * 3]
    assert [n for n, forced in zip(result.token_ids, result.forced, strict=True) if forced] == [
        *itertools.chain(*STRETCHES)
    ]
    assert all(p == 0 for p, forced in zip(result.sampling_logprobs, result.forced, strict=True) if forced)
    assert all(p < 0 for p in result.logprobs)
    assert result.stopped_by == "stop"


def test_a_masked_token_keeps_its_raw_probability_and_has_another_among_the_allowed(model, inputs):
    result = model.generate(inputs, constraint=Rails([1], [3], [5], mask=True), max_new_tokens=40)
    free = [n for n, forced in enumerate(result.forced) if not forced]
    assert all(result.token_ids[n] % 2 == 0 for n in free)
    with torch.no_grad():
        logits = model(continued(inputs, result.token_ids, UNTIED))[len(inputs.input_ids) - 1 : -1]
    for n in free:
        among = logits[n].masked_fill(~EVEN, float("-inf")).log_softmax(-1)
        assert result.token_ids[n] == int(among.argmax())
        assert result.sampling_logprobs[n] == pytest.approx(float(among.max()), abs=1e-5)
        assert result.logprobs[n] == pytest.approx(float(logits[n].log_softmax(-1)[result.token_ids[n]]), abs=1e-5)


def test_something_begun_is_brought_to_its_end_over_the_limit(model, inputs):
    rails = Rails(*STRETCHES)
    assert len(model.generate(inputs, constraint=rails, max_new_tokens=4).token_ids) == 4
    rails = Rails(*STRETCHES)
    rails.open = True
    result = model.generate(inputs, constraint=rails, max_new_tokens=4)
    assert len(result.token_ids) == 13
    assert result.stopped_by == "stop"


def repeating(seed):
    """A prompt that repeats itself, so that there is much to guess and much of it wrong."""
    row = sequence((60,), UNTIED, seed=seed)
    return replace(row, input_ids=row.input_ids % 6)


@pytest.mark.parametrize("temperature", [0.0, 0.7, 3.0])
@pytest.mark.parametrize("draft_tokens", [1, 3, 8])
def test_guesses_change_no_token_and_no_probability(model, draft_tokens, temperature):
    guessed = right = 0
    for seed in range(3):
        settings = {"max_new_tokens": 24, "temperature": temperature, "top_k": 8, "seed": seed}
        plain = model.generate(repeating(seed), **settings)
        ahead = model.generate(repeating(seed), draft_tokens=draft_tokens, **settings)
        assert ahead.token_ids == plain.token_ids
        assert ahead.logprobs == pytest.approx(plain.logprobs, abs=1e-4)
        assert ahead.sampling_logprobs == pytest.approx(plain.sampling_logprobs, abs=1e-4)
        assert ahead.passes == plain.passes - ahead.guessed_right or ahead.guessed_right
        guessed, right = guessed + ahead.guessed, right + ahead.guessed_right
    assert guessed > right


def test_right_guesses_save_passes():
    model = randomise(Qwen2VL(UNTIED)).eval()
    with torch.no_grad():  # every token is followed by the next one, modulo 5
        model.lm_head.weight.zero_()
        model.lm_head.weight[:5] = torch.eye(5, 64).roll(1, 0)
        model.language_model.embed_tokens.weight.zero_()
        model.language_model.embed_tokens.weight[:5] = 50 * torch.eye(5, 64)
        for layer in model.language_model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        model.language_model.norm.weight.fill_(1)
    prompt = replace(sequence((10,), UNTIED), input_ids=torch.arange(10) % 5)
    result = model.generate(prompt, max_new_tokens=12, draft_tokens=3)
    assert result.token_ids == [n % 5 for n in range(10, 22)]
    assert result.guessed_right == 9
    assert result.passes == 3


def test_after_wrong_guesses_the_cache_holds_what_was_written(model):
    for constraint in (None, Rails(*STRETCHES)):
        cache, prompt = Cache(), repeating(1)
        first = model.generate(
            prompt, max_new_tokens=20, draft_tokens=5, cache=cache, constraint=constraint, temperature=2.0, seed=0
        )
        assert cache.length == len(prompt.input_ids) + len(first.token_ids) - 1
        assert all(layer.length == cache.length for layer in cache.layers(UNTIED.text.num_hidden_layers))
        longer = continued(prompt, [*first.token_ids, 1, 2, 3], UNTIED)
        kept, anew = (model.generate(longer, max_new_tokens=6, cache=c) for c in (cache, None))
        assert kept.token_ids == anew.token_ids
        assert kept.logprobs == pytest.approx(anew.logprobs, abs=1e-4)


def test_a_callback_that_fails_leaves_a_usable_cache(model):
    class Stop(Exception):
        pass

    def stop_at(token_id):
        told.append(token_id)
        if len(told) == 7:
            raise Stop

    told: list[int] = []
    cache, prompt = Cache(), repeating(2)
    with pytest.raises(Stop):
        model.generate(prompt, max_new_tokens=20, draft_tokens=5, cache=cache, on_token=stop_at)
    again = model.generate(prompt, max_new_tokens=8, cache=cache)
    assert again.token_ids == model.generate(prompt, max_new_tokens=8).token_ids
    assert again.token_ids[:7] == told


def test_draws_with_guesses_follow_the_probabilities():
    """On a small vocabulary, three tokens long: counted, and compared with the exact probabilities."""
    generator = torch.Generator().manual_seed(0)
    table = torch.randn(3, 3, generator=generator)
    sampler = Sampler(SamplingConfig(temperature=1.0), seed=1)
    rounds, right, counts = 3000, 0, Counter()
    for _ in range(rounds):
        result = GenerationResult()
        lookup = Lookup([0, 1, 2, 0, 1, 0, 0, 2, 1, 1, 2, 2, 0, 1], length=3)
        ending = Ending(max_new_tokens=3, eos_token_ids=())
        writer = _Writer(result, ending, sampler, None, None, lookup)
        rows = table[[1]]
        while not writer.write(rows):
            rows = table[[result.token_ids[-1], *writer.ahead]]
        counts[tuple(result.token_ids)] += 1
        right += result.guessed_right
    assert right > rounds / 5
    after = table.softmax(-1)
    for a, b, c in itertools.product(range(3), repeat=3):
        expected = float(after[1, a] * after[a, b] * after[b, c])
        error = (expected * (1 - expected) / rounds) ** 0.5
        assert counts[a, b, c] / rounds == pytest.approx(expected, abs=4.5 * error)


LONG = 60
"""Tokens of each of several texts."""


def together(model, stretches, drafts, temperatures):
    """Requests that differ in everything, what each gives alone, and the cache that it then leaves."""
    requests, alone, kept = [], [], []
    for place in range(len(stretches)):
        inputs = sequence((7 + 3 * place, ("image", 1, 4, 6), 4 + place), UNTIED, seed=place)
        drawn = {"temperature": temperatures[place], "seed": place}
        rails = [Rails(*stretches[place], mask=place % 2 == 0) if stretches[place] else None for _ in range(2)]
        requests.append(
            Request(
                inputs=inputs,
                ending=Ending(max_new_tokens=LONG, eos_token_ids=UNTIED.eos_token_ids),
                sampler=Sampler(SamplingConfig(temperature=temperatures[place]), place),
                foresight=Foresight(constraint=rails[0], draft_tokens=drafts[place]),
            )
        )
        options = {"max_new_tokens": LONG, "constraint": rails[1], "draft_tokens": drafts[place]}
        kept.append(Cache())
        alone.append(model.generate(inputs, cache=kept[-1], **options, **drawn))
    return requests, alone, kept


def test_texts_written_together_are_forced_guessed_and_drawn_as_if_alone(model):
    stretches = [STRETCHES, (), STRETCHES[:1], STRETCHES[1:], ()]
    requests, alone, kept = together(model, stretches, (0, 3, 4, 0, 0), (0.0, 0.0, 2.0, 0.0, 1.0))
    for result, wanted in zip(generate_many(model, requests), alone, strict=True):
        assert result.token_ids == wanted.token_ids
        assert result.logprobs == pytest.approx(wanted.logprobs, abs=1e-4)
        assert result.sampling_logprobs == pytest.approx(wanted.sampling_logprobs, abs=1e-4)
        told = ("forced", "stopped_by", "tokens", "passes", "guessed", "guessed_right")
        assert [getattr(result, name) for name in told] == [getattr(wanted, name) for name in told]
    for request, cache in zip(requests, kept, strict=True):
        assert request.cache.length == cache.length
        layers = zip(*(each.layers(UNTIED.text.num_hidden_layers) for each in (request.cache, cache)), strict=True)
        for layer, usual in layers:
            torch.testing.assert_close(layer.kept(), usual.kept(), atol=1e-4, rtol=0)
    assert sum(result.guessed_right for result in alone) > 0


def test_a_listener_that_fails_ends_its_own_text_only(model):
    def fail(token_id: int) -> None:
        raise RuntimeError("nobody listens")

    requests, alone, _ = together(model, [(), STRETCHES, ()], (0, 0, 0), (0.0, 0.0, 0.0))
    requests[0] = replace(requests[0], on_token=fail)
    failed, *others = answer_many(model, requests)
    assert str(failed) == "nobody listens"
    assert [result.token_ids for result in others] == [result.token_ids for result in alone[1:]]
    retried = model.generate(requests[0].inputs, max_new_tokens=LONG, cache=requests[0].cache)
    assert retried.token_ids == alone[0].token_ids
    assert retried.tokens["read"] == 1


def test_a_batch_takes_neither_constraint_nor_guesses(model):
    batch = pad_left([sequence((3,), UNTIED)], 0)
    for wrong in ({"draft_tokens": 2}, {"constraint": Rails()}):
        with pytest.raises(ValueError, match="one by one"):
            model.generate(batch, **wrong)


def test_a_negative_number_of_guesses_is_refused(model, inputs):
    with pytest.raises(ValueError, match="draft_tokens is -1"):
        model.generate(inputs, draft_tokens=-1)
