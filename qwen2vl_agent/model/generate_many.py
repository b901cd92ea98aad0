"""Several sequences continued at once, each from its own cache: parallel episodes, or several answers to one prompt.

The tokens that are to be read of all sequences stand in one row, one sequence's after the other's, however many each
has: a new screen, the last token written, or that with what is forced or guessed after it. Linear layers read their
weights once for all of them; each sequence attends with its own cache, by the code that it would use alone. Nothing is
padded or copied, and who has ended is not carried along.

Shape letters: T tokens of all sequences, D width, N query heads, K key and value heads, H head dimension, R tokens of
one sequence, V vocabulary.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from qwen2vl_agent.model.cache import Cache, LayerCache
from qwen2vl_agent.model.generate import NO_FORESIGHT, Ending, Foresight, GenerationResult, _lookup, _Writer
from qwen2vl_agent.model.inputs import ModelInputs
from qwen2vl_agent.model.masks import EVERYTHING, Visibility, text_visibility
from qwen2vl_agent.model.sampling import Sampler

if TYPE_CHECKING:
    from qwen2vl_agent.model.qwen2vl import Qwen2VL


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A sequence to continue: what `generate_one` takes."""

    inputs: ModelInputs
    ending: Ending
    sampler: Sampler
    cache: Cache = field(default_factory=Cache)
    on_token: Callable[[int], None] | None = None
    foresight: Foresight = NO_FORESIGHT


def generate_many(model: "Qwen2VL", requests: Sequence[Request]) -> list[GenerationResult]:
    """Continue every sequence as `generate_one` would. Timings are until a sequence's own end.

    Raises:
        ValueError: a cache is given twice.
        Exception: that of a constraint or listener, once the other sequences have ended.
    """
    answers = answer_many(model, requests)
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return [answer for answer in answers if isinstance(answer, GenerationResult)]


def answer_many(model: "Qwen2VL", requests: Sequence[Request]) -> list[GenerationResult | Exception]:
    """The same, with what a sequence's own constraint or listener raised in place of its result."""
    batch, answers = ContinuousBatch(model), dict[int, GenerationResult | Exception]()
    try:
        for request in requests:
            batch.add(request)
        while batch:
            answers.update({id(request): answer for request, answer in batch.advance()})
    finally:
        batch.close()
    return [answers[id(request)] for request in requests]


class ContinuousBatch:
    """Sequences written together, each from the pass after it was added until its own end.

    Source of the idea: iteration-level scheduling (Orca, Yu et al. 2022), which vLLM calls continuous batching.
    """

    def __init__(self, model: "Qwen2VL") -> None:
        self._model = model
        self._joining: list[_Row] = []
        self._running: list[_Row] = []

    def __len__(self) -> int:
        return len(self._joining) + len(self._running)

    @torch.inference_mode()
    def add(self, request: Request) -> None:
        """Take a sequence in; it is read in the next pass.

        Raises:
            ValueError: another sequence under way has the same cache.
        """
        if any(row.cache is request.cache for row in (*self._joining, *self._running)):
            raise ValueError("a cache is given twice; give each sequence its own, for example by branch()")
        self._joining.append(_Row(self._model, request))

    @torch.inference_mode()
    def advance(self) -> list[tuple[Request, GenerationResult | Exception]]:
        """One pass: what is new of the prompts of those that joined, else what comes next of all; those that ended.

        Raises:
            Exception: that of the model itself, which ends all of them.
        """
        if self._joining:
            rows, self._joining = self._joining, []
            self._running += rows
            logits = _read_prompts(self._model, rows)
        else:
            rows = self._running
            logits = _read_written(self._model, rows) if rows else []
        ended = [row for row, rows_RV in zip(rows, logits, strict=True) if row.write(rows_RV)]
        self._running = [row for row in self._running if row not in ended]
        for row in ended:
            row.end()
        return [(row.request, row.error or row.result) for row in ended]

    @torch.inference_mode()
    def close(self) -> None:
        """Let go of all sequences under way; their caches keep what was read and written."""
        for row in (*self._joining, *self._running):
            row.keep()
        self._joining, self._running = [], []


class _Row:
    """One of the sequences under way."""

    def __init__(self, model: "Qwen2VL", request: Request) -> None:
        inputs, foresight = request.inputs.to(model.device), request.foresight
        self.request, self.inputs, self.cache = request, inputs, request.cache
        self.rest = request.cache.rest(inputs, model.config)
        self.layers = request.cache.layers(model.config.text.num_hidden_layers)
        self.error: Exception | None = None
        read = self.rest.input_ids.numel()
        self.result = GenerationResult(tokens={"cached": inputs.input_ids.numel() - read, "read": read})
        self._writer = _Writer(
            self.result,
            request.ending,
            request.sampler,
            request.on_token,
            foresight.constraint,
            _lookup(model, inputs, foresight),
        )
        self._config = model.config
        self._read_at = 0.0
        self._prompt = inputs.input_ids.numel()
        self._first = inputs.position_ids.max() + 1
        self._held = 0

    def write(self, rows_RV: Tensor) -> bool:
        """Write what rows of logits decide; True at the end of the text, or where it cannot go on."""
        try:
            return self._writer.write(rows_RV)
        except Exception as error:
            self.error = error
            return True
        finally:
            self.result.tokens["written"] = len(self.result.token_ids)

    def end(self) -> None:
        """The text is written: its cache keeps it, and its result tells how long that took."""
        self.result.timings["decode"] = time.perf_counter() - self._read_at
        self.keep()

    def prompt_read(self, vit_s: float, prefill_s: float) -> None:
        """Note how long all prompts took that were read together."""
        self.cache.keep(self.inputs, self._config)
        self.result.timings = {"vit": vit_s, "prefill": prefill_s, "decode": 0.0}
        self._read_at = time.perf_counter()

    def coming(self) -> tuple[list[int], Tensor]:
        """The ids to be read next, from the last one written, and their places `[3, R]`."""
        step = len(self.result.token_ids) - 1
        ids = [self.result.token_ids[-1], *self._writer.ahead]
        self._cut(step)
        self._held = step + len(ids)
        self.result.passes += 1
        return ids, self._positions(step, self._held)

    def keep(self) -> None:
        """Leave the cache with the prompt and all that was written but the last token."""
        if any(layer.length < self._prompt for layer in self.layers):  # interrupted while it was being read
            return
        kept = self._cut(max(0, len(self.result.token_ids) - 1))
        self.cache.keep_written(self.result.token_ids[:kept], self._positions(0, kept))

    def _cut(self, step: int) -> int:
        """Forget what was read beyond `step` written tokens; how many are still held."""
        self._held = min(step, self._held)
        for layer in self.layers:
            layer.cut(self._prompt + self._held)
        return self._held

    def _positions(self, start: int, end: int) -> Tensor:
        return (self._first + torch.arange(start, end, device=self._first.device)).expand(3, -1)


class _SideBySide:
    """One layer's keys and values of all sequences whose tokens stand in a row."""

    def __init__(self, layers: Sequence[LayerCache], sizes: Sequence[int]) -> None:
        self._layers, self._sizes = layers, list(sizes)

    def attend(self, q_1TNH: Tensor, k_1TKH: Tensor, v_1TKH: Tensor, sees: Visibility) -> Tensor:
        """Attention output `[1, T, N * H]`: each sequence to what it has kept and to its own new tokens."""
        assert sees is EVERYTHING, "each sequence sees its own past"
        parts = (x.split(self._sizes, dim=1) for x in (q_1TNH, k_1TKH, v_1TKH))
        rows = zip(self._layers, *parts, strict=True)
        return torch.cat([layer.attend(q, k, v, text_visibility(q.shape[1])) for layer, q, k, v in rows], dim=1)


def _read_prompts(model: "Qwen2VL", rows: Sequence[_Row]) -> list[Tensor]:
    """Read what is new of every prompt; logits `[1, V]` after the last token of each."""
    begun = time.perf_counter()
    embedded = [model.embed(row.rest, row.cache.vision) for row in rows]
    encoded = time.perf_counter()
    sizes = [x_1RD.shape[1] for x_1RD in embedded]
    positions_3T = torch.cat([row.rest.position_ids for row in rows], dim=1)
    hidden_1TD = _states(model, rows, torch.cat(embedded, dim=1), positions_3T, sizes)
    last = torch.tensor(sizes, device=hidden_1TD.device).cumsum(0) - 1
    logits = list(model.lm_head(hidden_1TD[:, last])[0].split(1))
    for row in rows:
        row.prompt_read(encoded - begun, time.perf_counter() - encoded)
    return logits


def _read_written(model: "Qwen2VL", rows: Sequence[_Row]) -> list[Tensor]:
    """Read what comes next of every sequence; logits `[R, V]` after each token of each."""
    stretches = [row.coming() for row in rows]
    sizes = [len(ids) for ids, _ in stretches]
    ids_T = torch.tensor([token_id for ids, _ in stretches for token_id in ids], device=model.device)
    positions_3T = torch.cat([positions for _, positions in stretches], dim=1)
    x_1TD = model.language_model.embed_tokens(ids_T[None])
    hidden_1TD = _states(model, rows, x_1TD, positions_3T, sizes)
    return list(model.lm_head(hidden_1TD)[0].split(sizes))


def _states(
    model: "Qwen2VL", rows: Sequence[_Row], x_1TD: Tensor, positions_3T: Tensor, sizes: Sequence[int]
) -> Tensor:
    """States after the final norm `[1, T, D]`."""
    layers = [_SideBySide(of_rows, sizes) for of_rows in zip(*(row.layers for row in rows), strict=True)]
    return model.language_model(x_1TD, model.rotary(positions_3T[:, None]), EVERYTHING, layers)
