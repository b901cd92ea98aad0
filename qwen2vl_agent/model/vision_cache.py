"""What the vision encoder made of pictures seen before, so that no branch, retry or shortened dialogue encodes twice.

Shape letters: P patches, T visual tokens, D width of the language model.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from qwen2vl_agent.model.vision import VisionEncoder

PATCHES_AT_ONCE = 8192
"""Patches that the encoder is given in one call: what bounds its memory on a long video (by its shapes about 0.5 GB at
the published size in float32). A single picture with more is still one call."""


class VisionCache:
    """Embeddings by content; the least recently used go first once `max_bytes` are held.

    The unit is a frame pair: patches of one pair never see those of another, so a picture of a video is known again
    wherever it stands in time, and a video that has grown costs its new pairs. One cache serves one model and its
    type of weights. Threads may share it.
    """

    def __init__(self, max_bytes: int = 256 * 2**20) -> None:
        if max_bytes < 0:
            raise ValueError(f"max_bytes is {max_bytes}; expected 0 or more")
        self.max_bytes = max_bytes
        self.bytes_held = 0
        self._held: OrderedDict[bytes, Tensor] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Frame pairs held."""
        return len(self._held)

    def encode(self, encoder: VisionEncoder, pixels_PV: Tensor, grid_thw: Tensor) -> Tensor:
        """`encoder(pixels_PV, grid_thw)` `[T, D]`, from which only pictures that are not held are encoded.

        Raises:
            ValueError: the grids do not account for the patches.
        """
        sides = [(h, w) for t, h, w in grid_thw.tolist() for _ in range(t)]
        if sum(h * w for h, w in sides) != len(pixels_PV):
            raise ValueError(f"{len(pixels_PV)} patches do not fit the grids {grid_thw.tolist()}")
        pairs = pixels_PV.split([h * w for h, w in sides])
        keys = [content_key(pair, side) for pair, side in zip(pairs, sides, strict=True)]
        found = self._find(keys)
        missing = {key: (pair, side) for key, pair, side in zip(keys, pairs, sides, strict=True) if key not in found}
        for group in _groups(missing):
            made = _encoded(encoder, [missing[key] for key in group])
            found.update(zip(group, made, strict=True))
        self._keep({key: found[key] for key in missing})
        return torch.cat([found[key] for key in keys])

    def _find(self, keys: Iterable[bytes]) -> dict[bytes, Tensor]:
        with self._lock:
            found = {key: self._held[key] for key in keys if key in self._held}
            for key in found:
                self._held.move_to_end(key)
        return found

    def _keep(self, made: dict[bytes, Tensor]) -> None:
        with self._lock:
            for key, embedding in made.items():
                if key not in self._held:
                    self._held[key] = embedding
                    self.bytes_held += embedding.nbytes
            while self.bytes_held > self.max_bytes:
                _, oldest = self._held.popitem(last=False)
                self.bytes_held -= oldest.nbytes


def content_key(pixels_PV: Tensor, side: tuple[int, int]) -> bytes:
    """A hash (64 bytes) of all patches of a frame pair and of its rows and columns."""
    digest = hashlib.blake2b(repr((side, pixels_PV.dtype)).encode())
    digest.update(pixels_PV.detach().contiguous().cpu().view(torch.uint8).numpy().data)
    return digest.digest()


def _groups(missing: dict[bytes, tuple[Tensor, tuple[int, int]]]) -> Iterator[list[bytes]]:
    """The keys in stretches of at most `PATCHES_AT_ONCE` patches."""
    group: list[bytes] = []
    patches = 0
    for key, (pair, _) in missing.items():
        if group and patches + len(pair) > PATCHES_AT_ONCE:
            yield group
            group, patches = [], 0
        group.append(key)
        patches += len(pair)
    if group:
        yield group


def _encoded(encoder: VisionEncoder, pairs: list[tuple[Tensor, tuple[int, int]]]) -> list[Tensor]:
    """The embedding of each frame pair, in memory of its own."""
    made = encoder(torch.cat([pair for pair, _ in pairs]), torch.tensor([(1, *side) for _, side in pairs]))
    merge = encoder.config.spatial_merge_size**2
    return [part.clone() for part in made.split([h * w // merge for _, (h, w) in pairs])]
