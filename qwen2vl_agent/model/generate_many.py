"""Several sequences continued at once, each from its own cache: parallel episodes, or several answers to one prompt.

Shape letters: B sequences, P cached tokens, R tokens to read, S all places, K key and value heads, H head dimension,
V vocabulary. A row of the batch has its tokens against the right edge of each stretch:

    places     0 1 2 | 3 4 | 5 6 …          P = 3, R = 2
    sequence 1 a a a | - a | a a            3 tokens were cached, 1 is read, then it writes
    sequence 2 - - b | b b | b b            1 token was cached, 2 are read
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from qwen2vl_agent.model.cache import Cache, LayerCache
from qwen2vl_agent.model.generate import Ending, GenerationResult, _Decoder, _timed, write_rows
from qwen2vl_agent.model.inputs import ModelInputs, pad_left
from qwen2vl_agent.model.sampling import Sampler
from qwen2vl_agent.model.vision_cache import VisionCache

if TYPE_CHECKING:
    from qwen2vl_agent.model.qwen2vl import Qwen2VL


@torch.inference_mode()
def generate_many(
    model: "Qwen2VL",
    inputs: Sequence[ModelInputs],
    caches: Sequence[Cache],
    ending: Ending,
    samplers: Sequence[Sampler],
) -> list[GenerationResult]:
    """Continue every sequence as `generate_one` would with its cache; the rows share their timings.

    What is cached is copied into the batch and what is new back out of it: one copy of the caches a call, which is
    little beside the reading and writing. Branches of one cache are rows like any other.

    Raises:
        ValueError: the lists differ in length, a cache is given twice, or the caches hold different vision caches.
    """
    vision = _check(inputs, caches, samplers)
    timings: dict[str, float] = {}
    results = [GenerationResult(timings=timings) for _ in inputs]
    with _timed(timings, "vit"):
        rests = [cache.rest(row, model.config) for row, cache in zip(inputs, caches, strict=True)]
        for result, rest, cache in zip(results, rests, caches, strict=True):
            result.tokens = {"cached": cache.length, "read": rest.input_ids.numel()}
        batch = pad_left(rests, model.config.pad_token_id)
        x_BRD = model.embed(batch, vision)
    with _timed(timings, "prefill"):
        slots = _slots(model, caches, x_BRD, ending.max_new_tokens)
        assert batch.attention_mask is not None
        batch.attention_mask = torch.cat((_cached_mask(caches).to(x_BRD.device), batch.attention_mask), dim=1)
        logits_BV = model.lm_head(model.read(x_BRD, batch, slots, last_only=True))[:, -1]
    with _timed(timings, "decode"):
        decoder = _Decoder(model, batch, ending.max_new_tokens, slots)
        write_rows(decoder, logits_BV, ending, samplers, results)
    read_end = batch.attention_mask.shape[1]
    for row, (cache, result) in enumerate(zip(caches, results, strict=True)):
        written = result.token_ids[:-1]
        _take_back(cache, slots, row, slice(read_end - result.tokens["read"], read_end + len(written)))
        cache.keep(inputs[row], model.config)
        cache.keep_written(written, decoder.positions_3BM[:, row, : len(written)])
        result.tokens["written"] = len(result.token_ids)
    return [replace(result, timings=dict(timings)) for result in results]


def _check(inputs: Sequence[ModelInputs], caches: Sequence[Cache], samplers: Sequence[Sampler]) -> VisionCache | None:
    """The vision cache that all caches share."""
    if not len(inputs) == len(caches) == len(samplers):
        raise ValueError(f"{len(inputs)} inputs, {len(caches)} caches and {len(samplers)} samplers; expected as many")
    if len({id(cache) for cache in caches}) < len(caches):
        raise ValueError("a cache is given twice; give each sequence its own, for example by branch()")
    if len({id(cache.vision) for cache in caches}) > 1:
        raise ValueError("the caches hold different vision caches; let them share one")
    return caches[0].vision if caches else None


class _Slots(LayerCache):
    """One layer's keys and values of all rows, padded to one length, with room for all that will be written."""

    def __init__(self, rows: Sequence[LayerCache], cached: int, room_TKH: Tensor) -> None:
        super().__init__()
        self.length = cached
        room, heads, width = room_TKH.shape
        # Zeros, because what nobody looks at is still multiplied, by 0.
        self._keys, self._values = (room_TKH.new_zeros(len(rows), cached + room, heads, width) for _ in range(2))
        for number, row in enumerate(rows):
            kept = row.kept()
            if kept is not None and row.length:
                self._keys[number, cached - row.length : cached] = kept[0][0]
                self._values[number, cached - row.length : cached] = kept[1][0]


def _slots(model: "Qwen2VL", caches: Sequence[Cache], x_BRD: Tensor, count: int) -> list[LayerCache]:
    text = model.config.text
    layers = [cache.layers(text.num_hidden_layers) for cache in caches]
    cached, places = max(cache.length for cache in caches), x_BRD.shape[1] + count
    room_TKH = x_BRD.new_empty(places, text.num_key_value_heads, text.head_dim)
    return [_Slots(rows, cached, room_TKH) for rows in zip(*layers, strict=True)]


def _cached_mask(caches: Sequence[Cache]) -> Tensor:
    """`[B, P]` True where a row has a cached token."""
    lengths_B = torch.tensor([cache.length for cache in caches])
    cached = int(lengths_B.max())
    return torch.arange(cached) >= cached - lengths_B[:, None]


def _take_back(cache: Cache, slots: list[LayerCache], row: int, new: slice) -> None:
    """The places of a row that are new to its own cache."""
    for layer, slot in zip(cache.layers(len(slots)), slots, strict=True):
        kept = slot.kept()
        assert kept is not None
        layer.append(kept[0][row : row + 1, new], kept[1][row : row + 1, new])
