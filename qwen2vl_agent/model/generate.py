"""Generation: read what is not yet in the cache, then write token by token.

What is known of the coming tokens before the model has read so far saves passes: tokens that a constraint forces and
guesses from the text before are read together with the last token written, and a row of logits decides each.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from qwen2vl_agent.model.cache import Cache, LayerCache
from qwen2vl_agent.model.constraint import Constraint, masked
from qwen2vl_agent.model.inputs import ModelInputs
from qwen2vl_agent.model.lookup import Lookup
from qwen2vl_agent.model.masks import EVERYTHING, Visibility, text_visibility
from qwen2vl_agent.model.sampling import Sampler, logprob

if TYPE_CHECKING:
    from qwen2vl_agent.model.qwen2vl import Qwen2VL

StoppedBy = Literal["eos", "stop", "length"]


@dataclass(slots=True)
class GenerationResult:
    """What the model wrote."""

    token_ids: list[int] = field(default_factory=list)
    """Every id, the one or the ones that ended it included."""
    logprobs: list[float] = field(default_factory=list)
    """Raw log-probability of each id, forced ones too: temperature 1, nothing masked."""
    timings: dict[str, float] = field(default_factory=dict)
    """Seconds: `vit` (images not read before), `prefill`, `decode`."""
    stopped_by: StoppedBy = "length"
    """An end-of-sequence id, a stop sequence (or the end of what a constraint allows), or the limit of new tokens."""
    tokens: dict[str, int] = field(default_factory=dict)
    """How many were `cached` of the prompt, `read` and `written`."""
    sampling_logprobs: list[float] = field(default_factory=list)
    """Log-probability of each id among those that it was drawn from: 0 where it was forced; see `Sampler.draw`."""
    forced: list[bool] = field(default_factory=list)
    """Which ids a constraint left no choice about."""
    passes: int = 0
    """How often the model read what was written."""
    guessed: int = 0
    """Tokens that were guessed from the text before, and read on the chance of being right."""
    guessed_right: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Ending:
    """When to stop."""

    max_new_tokens: int
    eos_token_ids: tuple[int, ...]
    stop: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens is {self.max_new_tokens}; expected at least 1")
        if not all(self.stop):
            raise ValueError("a stop sequence is empty")

    def reached(self, token_ids: list[int]) -> StoppedBy | None:
        """Why the text ends here; None where it goes on."""
        if token_ids[-1] in self.eos_token_ids:
            return "eos"
        if any(tuple(token_ids[-len(sequence) :]) == sequence for sequence in self.stop):
            return "stop"
        return "length" if len(token_ids) >= self.max_new_tokens else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Foresight:
    """What may be known of coming tokens before the model has read so far."""

    constraint: Constraint | None = None
    """Of a new text; it serves one."""
    draft_tokens: int = 0
    """So many tokens are guessed at a time, from what followed the last ones earlier in the sequence; 0: none."""

    def __post_init__(self) -> None:
        if self.draft_tokens < 0:
            raise ValueError(f"draft_tokens is {self.draft_tokens}; expected 0 or more")


NO_FORESIGHT = Foresight()


@torch.inference_mode()
def generate_one(
    model: "Qwen2VL",
    inputs: ModelInputs,
    ending: Ending,
    sampler: Sampler,
    cache: Cache | None = None,
    on_token: Callable[[int], None] | None = None,
    foresight: Foresight = NO_FORESIGHT,
) -> GenerationResult:
    """Continue one sequence. The cache then holds it with all that was written but the last token."""
    cache = Cache() if cache is None else cache
    inputs, result = inputs.to(model.device), GenerationResult()
    with _timed(result.timings, "vit"):
        rest = cache.rest(inputs, model.config)
        x_1TD = model.embed(rest, cache.vision)
    read = rest.input_ids.numel()
    result.tokens = {"cached": inputs.input_ids.numel() - read, "read": read}
    with _timed(result.timings, "prefill"):
        hidden_11D = model.read(x_1TD, rest, cache, last_only=True)
        cache.keep(inputs, model.config)
        logits_V = model.lm_head(hidden_11D)[0, -1]
    with _timed(result.timings, "decode"):
        decoder = _Decoder(model, inputs, ending.max_new_tokens, cache.layers(model.config.text.num_hidden_layers))
        writer = _Writer(result, ending, sampler, on_token, foresight.constraint, _lookup(model, inputs, foresight))
        rows_RV = logits_V[None]
        try:
            while not writer.write(rows_RV):
                rows_RV = decoder.read(len(result.token_ids) - 1, [result.token_ids[-1], *writer.ahead])[0]
        finally:
            kept = decoder.cut(len(result.token_ids) - 1)
            cache.keep_written(result.token_ids[:kept], decoder.positions_3BM[:, 0, :kept])
    result.passes = decoder.passes
    result.tokens["written"] = len(result.token_ids)
    return result


@torch.inference_mode()
def generate_batch(
    model: "Qwen2VL", inputs: ModelInputs, ending: Ending, samplers: Sequence[Sampler]
) -> list[GenerationResult]:
    """Continue every row of a left-padded batch; the rows share their timings."""
    timings: dict[str, float] = {}
    layers = [LayerCache() for _ in range(model.config.text.num_hidden_layers)]
    results = [GenerationResult(timings=timings) for _ in samplers]
    with _timed(timings, "vit"):
        x_BTD = model.embed(inputs)
    with _timed(timings, "prefill"):
        logits_BV = model.lm_head(model.read(x_BTD, inputs, layers, last_only=True))[:, -1]
    with _timed(timings, "decode"):
        decoder = _Decoder(model, inputs, ending.max_new_tokens, layers)
        write_rows(decoder, logits_BV, ending, samplers, results)
    for result in results:
        result.passes = decoder.passes
    mask_BT = torch.ones_like(inputs.input_ids) if inputs.attention_mask is None else inputs.attention_mask
    return [
        replace(result, timings=dict(timings), tokens={"cached": 0, "read": read, "written": len(result.token_ids)})
        for result, read in zip(results, mask_BT.sum(1).tolist(), strict=True)
    ]


def write_rows(
    decoder: "_Decoder",
    logits_BV: Tensor,
    ending: Ending,
    samplers: Sequence[Sampler],
    results: Sequence[GenerationResult],
) -> None:
    """Write until every row has ended; rows that have are carried along."""
    running = set(range(len(results)))
    for step in range(ending.max_new_tokens):
        for row in sorted(running):
            _write(results[row], logits_BV[row], samplers[row])
            if reason := ending.reached(results[row].token_ids):
                results[row].stopped_by = reason
                running.discard(row)
        if not running:
            break
        logits_BV = decoder.step(step, [result.token_ids[-1] for result in results])


class _Decoder:
    """The loop's lean part: positions, rotary tables and mask of all coming tokens are made once."""

    def __init__(self, model: "Qwen2VL", inputs: ModelInputs, count: int, layers: list[LayerCache]) -> None:
        self.model, self.layers = model, layers
        self.passes = 0
        self._prompt = layers[0].length
        self._read = 0
        positions_3BT = inputs.position_ids if inputs.batched else inputs.position_ids[:, None]
        self._first_B = positions_3BT.amax(dim=(0, 2)) + 1
        self._make_tables(count)
        self.mask: Tensor | None = None
        if inputs.attention_mask is not None:
            seen = inputs.attention_mask
            self.mask = torch.cat((seen, seen.new_ones(len(seen), count)), dim=1)[:, None, None]

    def _make_tables(self, count: int) -> None:
        steps_M = torch.arange(count, device=self._first_B.device)
        self.positions_3BM = (self._first_B[:, None] + steps_M).expand(3, -1, -1)
        self.rotary = self.model.rotary(self.positions_3BM)

    def step(self, step: int, token_ids: list[int]) -> Tensor:
        """Logits `[B, V]` after the row's newest tokens, which stand `step` places after the prompt."""
        return self._logits(step, torch.tensor(token_ids, device=self.model.device)[:, None])[:, 0]

    def read(self, step: int, token_ids: list[int]) -> Tensor:
        """Logits `[1, R, V]` after each of the R tokens of one sequence that stand `step` places after the prompt.

        What was read beyond those places before is forgotten.
        """
        self.cut(step)
        return self._logits(step, torch.tensor([token_ids], device=self.model.device))

    def cut(self, step: int) -> int:
        """Forget what was read beyond `step` places after the prompt; how many written tokens are still held."""
        self._read = max(0, min(step, self._read))
        for layer in self.layers:
            layer.cut(self._prompt + self._read)
        return self._read

    def _logits(self, step: int, ids_BR: Tensor) -> Tensor:
        model, end = self.model, step + ids_BR.shape[1]
        if end > self.positions_3BM.shape[2]:
            self._make_tables(2 * end)
        sees = EVERYTHING
        if self.mask is not None:
            sees = Visibility(mask=self.mask[..., : self.layers[0].length + 1])
        elif ids_BR.shape[1] > 1:
            sees = text_visibility(ids_BR.shape[1], self._prompt + step, device=model.device)
        x_BRD = model.language_model.embed_tokens(ids_BR)
        hidden_BRD = model.language_model(x_BRD, self.rotary.tokens(step, end), sees, self.layers)
        self._read, self.passes = end, self.passes + 1
        return model.lm_head(hidden_BRD)


class _Writer:
    """Decides tokens, one for each row of logits, as long as those read ahead turn out to be the ones written."""

    def __init__(
        self,
        result: GenerationResult,
        ending: Ending,
        sampler: Sampler,
        on_token: Callable[[int], None] | None,
        constraint: Constraint | None,
        lookup: Lookup | None,
    ) -> None:
        self.ahead: list[int] = []
        """What is to be read after the last token written: what is forced, then a guess."""
        self._result, self._ending, self._sampler, self._on_token = result, ending, sampler, on_token
        self._constraint, self._lookup = constraint, lookup
        self._forced: list[int] = []

    def write(self, rows_RV: Tensor) -> bool:
        """Write what rows of logits decide, the first after the last token written, the others after `ahead`.

        A token is drawn as if nothing had been guessed, and the row after a guess counts only where the guess was
        drawn: what is written is what would have been written, whatever the guesses. True at the end of the text.
        """
        sure = len(self._forced)
        for place, (logits_V, ahead) in enumerate(zip(rows_RV, [*self.ahead, None], strict=True)):
            right = self._decide(logits_V) == ahead
            self._result.guessed_right += right and place >= sure
            if self._ended():
                return True
            if not right:
                break
        self._look_ahead()
        return False

    def _decide(self, logits_V: Tensor) -> int:
        result, constraint = self._result, self._constraint
        if constraint is not None and not self._forced:
            self._forced = list(constraint.forced())
        forced = bool(self._forced)
        if forced:
            token_id, sampling_logprob = self._forced.pop(0), 0.0
        else:
            allowed = constraint.allowed() if constraint is not None else None
            token_id, sampling_logprob = self._sampler.draw(masked(logits_V, allowed))
        result.token_ids.append(token_id)
        result.logprobs.append(logprob(logits_V, token_id))
        result.sampling_logprobs.append(sampling_logprob)
        result.forced.append(forced)
        if constraint is not None:
            constraint.accept(token_id)
        if self._lookup is not None:
            self._lookup.append(token_id)
        if self._on_token is not None:
            self._on_token(token_id)
        return token_id

    def _ended(self) -> bool:
        constraint, reason = self._constraint, self._ending.reached(self._result.token_ids)
        if constraint is not None and constraint.finished:
            reason = "stop"
        elif constraint is not None and constraint.open and reason == "length":
            reason = None
        if reason is not None:
            self._result.stopped_by = reason
        return reason is not None

    def _look_ahead(self) -> None:
        if self._constraint is not None and not self._forced:
            self._forced = list(self._constraint.forced())
        self.ahead = list(self._forced)
        if self._lookup is not None:
            guess = self._lookup.guess(self._forced)
            self._result.guessed += len(guess)
            self.ahead += guess


def _lookup(model: "Qwen2VL", inputs: ModelInputs, foresight: Foresight) -> Lookup | None:
    if not foresight.draft_tokens:
        return None
    config = model.config
    pictures = (config.image_token_id, config.video_token_id, config.vision_start_token_id)
    return Lookup(inputs.input_ids.tolist(), foresight.draft_tokens, (*pictures, *config.eos_token_ids))


def _write(result: GenerationResult, logits_V: Tensor, sampler: Sampler) -> None:
    token_id, sampling_logprob = sampler.draw(logits_V)
    result.token_ids.append(token_id)
    result.logprobs.append(logprob(logits_V, token_id))
    result.sampling_logprobs.append(sampling_logprob)
    result.forced.append(False)


@contextmanager
def _timed(timings: dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    timings[name] = time.perf_counter() - start
