"""Generation: read what is not yet in the cache, then write token by token."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from qwen2vl_agent.model.cache import Cache, LayerCache
from qwen2vl_agent.model.inputs import ModelInputs
from qwen2vl_agent.model.masks import EVERYTHING, Visibility
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
    """Raw log-probability of each id: temperature 1, nothing masked."""
    timings: dict[str, float] = field(default_factory=dict)
    """Seconds: `vit` (images not read before), `prefill`, `decode`."""
    stopped_by: StoppedBy = "length"
    """An end-of-sequence id, a stop sequence, or the limit of new tokens."""
    tokens: dict[str, int] = field(default_factory=dict)
    """How many were `cached` of the prompt, `read` and `written`."""


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


@torch.inference_mode()
def generate_one(
    model: "Qwen2VL",
    inputs: ModelInputs,
    ending: Ending,
    sampler: Sampler,
    cache: Cache | None = None,
    on_token: Callable[[int], None] | None = None,
) -> GenerationResult:
    """Continue one sequence. The cache then holds it with all that was written but the last token."""
    cache = Cache() if cache is None else cache
    result = GenerationResult()
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
        try:
            for step in range(ending.max_new_tokens):
                _write(result, logits_V, sampler, on_token)
                if reason := ending.reached(result.token_ids):
                    result.stopped_by = reason
                    break
                logits_V = decoder.step(step, result.token_ids[-1:])[0]
        finally:
            cache.keep_written(result.token_ids[: decoder.steps], decoder.positions_3BM[:, 0, : decoder.steps])
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
    mask_BT = torch.ones_like(inputs.input_ids) if inputs.attention_mask is None else inputs.attention_mask
    return [
        replace(result, timings=dict(timings), tokens={"cached": 0, "read": read, "written": len(result.token_ids)})
        for result, read in zip(results, mask_BT.sum(1).tolist(), strict=True)
    ]


class _Decoder:
    """The loop's lean part: positions, rotary tables and mask of all coming tokens are made once."""

    def __init__(self, model: "Qwen2VL", inputs: ModelInputs, count: int, layers: list[LayerCache]) -> None:
        self.model, self.layers = model, layers
        self.steps = 0
        positions_3BT = inputs.position_ids if inputs.batched else inputs.position_ids[:, None]
        first_B = positions_3BT.amax(dim=(0, 2)) + 1
        self.positions_3BM = (first_B[:, None] + torch.arange(count, device=first_B.device)).expand(3, -1, -1)
        self.rotary = model.rotary(self.positions_3BM)
        self.mask: Tensor | None = None
        if inputs.attention_mask is not None:
            seen = inputs.attention_mask
            self.mask = torch.cat((seen, seen.new_ones(len(seen), count)), dim=1)[:, None, None]

    def step(self, step: int, token_ids: list[int]) -> Tensor:
        """Logits `[B, V]` after the row's newest tokens, which stand `step` places after the prompt."""
        model = self.model
        x_B1D = model.language_model.embed_tokens(torch.tensor(token_ids, device=model.device)[:, None])
        sees = EVERYTHING
        if self.mask is not None:
            sees = Visibility(mask=self.mask[..., : self.layers[0].length + 1])
        hidden_B1D = model.language_model(x_B1D, self.rotary.tokens(step, step + 1), sees, self.layers)
        self.steps = step + 1
        return model.lm_head(hidden_B1D)[:, 0]


def _write(
    result: GenerationResult, logits_V: Tensor, sampler: Sampler, on_token: Callable[[int], None] | None = None
) -> None:
    token_id = sampler.choose(logits_V)
    result.token_ids.append(token_id)
    result.logprobs.append(logprob(logits_V, token_id))
    if on_token is not None:
        on_token(token_id)


@contextmanager
def _timed(timings: dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    timings[name] = time.perf_counter() - start
