"""Keys and values of what the model has read, kept between the steps of an episode.

Shape letters: B batch, T new tokens, S all tokens, N query heads, K key and value heads, H head dimension.
"""

from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from qwen2vl_agent.model.attention import attend
from qwen2vl_agent.model.inputs import ModelInputs
from qwen2vl_agent.model.masks import Visibility
from qwen2vl_agent.model.spans import VisionSpan, VisionTokens, vision_spans
from qwen2vl_agent.model.vision_cache import VisionCache

FIRST_CAPACITY = 256
"""Tokens that fit before a buffer grows; it doubles from there."""


class KeysAndValues(Protocol):
    """What one layer attends to besides its new tokens: the cache of one sequence, or of several side by side."""

    def attend(self, q_BTNH: Tensor, k_BTKH: Tensor, v_BTKH: Tensor, sees: Visibility) -> Tensor:
        """Keep the new keys and values; attention output `[B, T, N * H]` of the new queries to all that is kept."""
        ...


class LayerCache:
    """Keys and values of one layer, `[B, S, K, H]`, in buffers that double when they are full."""

    def __init__(self) -> None:
        self.length = 0
        self._keys: Tensor | None = None
        self._values: Tensor | None = None
        self._shared = False

    def branch(self) -> "LayerCache":
        """The same content, to go on from differently; whichever writes first copies what is kept."""
        other = LayerCache()
        other.length, other._keys, other._values = self.length, self._keys, self._values
        self._shared = other._shared = self._keys is not None
        return other

    @property
    def nbytes(self) -> int:
        """Memory of both buffers."""
        return sum(buffer.nbytes for buffer in (self._keys, self._values) if buffer is not None)

    def kept(self) -> tuple[Tensor, Tensor] | None:
        """Keys and values of all that is kept; None before anything was."""
        if self._keys is None or self._values is None:
            return None
        return self._keys[:, : self.length], self._values[:, : self.length]

    def append(self, k_BTKH: Tensor, v_BTKH: Tensor) -> tuple[Tensor, Tensor]:
        """Everything kept, with the new tokens at the end."""
        end = self.length + k_BTKH.shape[1]
        if self._keys is None or self._values is None or end > self._keys.shape[1] or self._shared:
            self._keys = self._grown(self._keys, k_BTKH, end)
            self._values = self._grown(self._values, v_BTKH, end)
            self._shared = False
        self._keys[:, self.length : end] = k_BTKH
        self._values[:, self.length : end] = v_BTKH
        self.length = end
        return self._keys[:, :end], self._values[:, :end]

    def attend(self, q_BTNH: Tensor, k_BTKH: Tensor, v_BTKH: Tensor, sees: Visibility) -> Tensor:
        """Attention output `[B, T, N * H]` of the new tokens, which are kept, to all that is."""
        return attend(q_BTNH, *self.append(k_BTKH, v_BTKH), sees)

    def cut(self, length: int) -> None:
        """Forget what comes after the first `length` tokens."""
        assert 0 <= length <= self.length, f"cut to {length} of {self.length} tokens"
        self.length = length

    def _grown(self, old: Tensor | None, new: Tensor, needed: int) -> Tensor:
        before = old.shape[1] if old is not None else 0
        capacity = before if needed <= before else max(FIRST_CAPACITY, needed, 2 * before)
        batch, _, heads, width = new.shape
        buffer = new.new_empty(batch, capacity, heads, width)
        if old is not None:
            buffer[:, : self.length] = old[:, : self.length]
        return buffer


@dataclass(frozen=True, slots=True)
class _Seen:
    """An image or video whose tokens the cache holds, and its patches to tell it from another of the same size."""

    span: VisionSpan
    pixels: Tensor

    def is_again(self, span: VisionSpan, pixels: Tensor) -> bool:
        if self.span != span:
            return False
        same_memory = self.pixels.data_ptr() == pixels.data_ptr() and self.pixels.shape == pixels.shape
        return same_memory or torch.equal(self.pixels, pixels)


class Cache:
    """The keys and values of one sequence, and what it was: ids, positions, and pictures.

    A sequence that begins like the one kept goes on from there; whatever differs is forgotten. Identical image tokens
    with different pictures behind them do differ. One cache serves one model.

    Positions are kept with the ids, in here: nothing about a sequence is left on the model.
    """

    def __init__(self, vision: VisionCache | None = None) -> None:
        """`vision` holds embeddings of pictures seen before, for any number of caches; None: none are held."""
        self.vision = vision
        self._layers: list[LayerCache] = []
        self._ids = torch.empty(0, dtype=torch.int64)
        self._positions = torch.empty(3, 0, dtype=torch.int64)
        self._seen: list[_Seen] = []

    @property
    def length(self) -> int:
        """Tokens kept."""
        return len(self._ids)

    @property
    def nbytes(self) -> int:
        """Memory of the keys and values, spare room included."""
        return sum(layer.nbytes for layer in self._layers)

    def branch(self) -> "Cache":
        """Another cache with the same content: for each of several answers to one prompt, or to try again.

        Nothing is copied before one of the two writes.
        """
        other = Cache(self.vision)
        other._layers = [layer.branch() for layer in self._layers]
        other._ids, other._positions, other._seen = self._ids, self._positions, list(self._seen)
        return other

    def layers(self, count: int) -> list[LayerCache]:
        """The caches of a model's `count` layers."""
        if not self._layers:
            self._layers = [LayerCache() for _ in range(count)]
        assert len(self._layers) == count, "a cache serves one model"
        return self._layers

    def common(self, inputs: ModelInputs, tokens: VisionTokens) -> int:
        """Tokens at the beginning of `inputs` that need not be read again."""
        return self._common(inputs, self._items(inputs, tokens))

    def rest(self, inputs: ModelInputs, tokens: VisionTokens) -> ModelInputs:
        """What of `inputs` is still to be read, at least its last token; the cache is cut back to what comes before.

        A cut never falls inside an image or video.
        """
        assert not inputs.batched, "a cache keeps one sequence"
        assert inputs.segment_lengths is None, "a cache keeps one sequence"
        items = self._items(inputs, tokens)
        start = self._common(inputs, items)
        self._cut(start, items)
        rest = replace(inputs, input_ids=inputs.input_ids[start:], position_ids=inputs.position_ids[:, start:])
        images = [item.span for item in items if item.span.end <= start and not item.span.is_video]
        videos = [item.span for item in items if item.span.end <= start and item.span.is_video]
        if images:
            rest.pixel_values, rest.image_grid_thw = _after(images, inputs.pixel_values, inputs.image_grid_thw)
        if videos:
            rest.pixel_values_videos, rest.video_grid_thw = _after(
                videos, inputs.pixel_values_videos, inputs.video_grid_thw
            )
        return rest

    def keep(self, inputs: ModelInputs, tokens: VisionTokens) -> None:
        """Note that all of `inputs` has now been read."""
        self._ids, self._positions = inputs.input_ids, inputs.position_ids
        self._seen = self._items(inputs, tokens)

    def keep_written(self, token_ids: list[int], positions_3T: Tensor) -> None:
        """Note that the model has also read these tokens of its own."""
        self._ids = torch.cat((self._ids, self._ids.new_tensor(token_ids)))
        self._positions = torch.cat((self._positions, positions_3T), dim=1)

    def _common(self, inputs: ModelInputs, items: list[_Seen]) -> int:
        """Length of the beginning that is kept already."""
        limit = min(self.length, len(inputs.input_ids) - 1)
        if limit == 0:  # a new cache's own ids are on no device yet
            return 0
        ids, positions = inputs.input_ids[:limit], inputs.position_ids[:, :limit]
        differs = (ids != self._ids[:limit]) | (positions != self._positions[:, :limit]).any(0)
        common = int(differs.nonzero()[0]) if bool(differs.any()) else limit
        for index, item in enumerate(items):
            if item.span.start >= common:
                break
            known = index < len(self._seen) and self._seen[index].is_again(item.span, item.pixels)
            if not known or item.span.end > common:
                return item.span.start
        return common

    def _cut(self, length: int, items: list[_Seen]) -> None:
        self._ids, self._positions = self._ids[:length], self._positions[:, :length]
        self._seen = [item for item in items if item.span.end <= length]
        for layer in self._layers:
            layer.length = length

    def _items(self, inputs: ModelInputs, tokens: VisionTokens) -> list[_Seen]:
        items = []
        for span in vision_spans(inputs.input_ids, inputs.image_grid_thw, inputs.video_grid_thw, tokens):
            pixels = inputs.pixel_values_videos if span.is_video else inputs.pixel_values
            if pixels is None:
                raise ValueError("the inputs have a grid, but no patches")
            items.append(_Seen(span, pixels[span.first_patch : span.last_patch]))
        return items


class Continuation(Cache):
    """A cache whose owner knows what is in it: `inputs` are only what follows, with positions of their own.

    For what cannot be given as a whole sequence again, such as a stream. The owner cuts `layers` back as it likes.
    """

    def __init__(self, layers: list[LayerCache]) -> None:
        super().__init__()
        self._layers = layers

    @property
    def length(self) -> int:
        """Tokens kept."""
        return self._layers[0].length if self._layers else 0

    def rest(self, inputs: ModelInputs, tokens: VisionTokens) -> ModelInputs:
        """All of it."""
        return inputs

    def keep(self, inputs: ModelInputs, tokens: VisionTokens) -> None:
        """The layers have it already."""

    def keep_written(self, token_ids: list[int], positions_3T: Tensor) -> None:
        """The layers have it already."""


def _after(spans: list[VisionSpan], pixels: Tensor | None, grid: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
    """The patches and grids that follow the last of `spans`; None where nothing does."""
    assert pixels is not None
    assert grid is not None
    if spans[-1].index + 1 == len(grid):
        return None, None
    return pixels[spans[-1].last_patch :], grid[spans[-1].index + 1 :]
