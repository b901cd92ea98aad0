"""Marked pictures drawn once and kept in the memory of a GPU, which asks for them faster than they can be drawn.

A shard is `marked-NNNNN.npz` without compression: the pictures in 8 bits, and the fields of `TokenTargets` in the
smallest integers that hold them.
"""

import os
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from qwen2vl_agent.data.marked import MarkedBatch, MarkedPages
from qwen2vl_agent.data.order import epoch_order
from qwen2vl_agent.data.synthetic.marks import TokenTargets, token_targets
from qwen2vl_agent.model.image_processor import ImageProcessor
from qwen2vl_agent.schema.errors import RecordError

SHARD = 256
"""Pictures in a file."""
PICTURES = "pictures"


def has_marked(folder: Path, number: int) -> bool:
    """Whether shard `number` is there, and so complete."""
    return _file(folder, number).exists()


def write_marked(folder: Path, number: int, mixture: MarkedPages, icons: dict[str, int]) -> None:
    """Writes shard `number`: the mixture's next `SHARD` pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    file = _file(folder, number)
    pages = [mixture.page(index) for index in range(number * SHARD, (number + 1) * SHARD)]
    targets = [token_targets(page, icons) for page in pages]
    arrays = {item.name: _small(np.stack([getattr(t, item.name) for t in targets])) for item in fields(TokenTargets)}
    draft = file.with_suffix(f".{os.getpid()}.npz")
    np.savez(draft, **{PICTURES: np.stack([np.asarray(page.image) for page in pages]), **arrays})
    draft.rename(file)


def _file(folder: Path, number: int) -> Path:
    return folder / f"marked-{number:05d}.npz"


def _small(classes: Any) -> Any:
    """Classes in 8 bits where they fit."""
    kind = np.int8 if classes.max() <= np.iinfo(np.int8).max else np.int16
    return classes.astype(kind)


class PooledLoader:
    """Batches from a pool that lies whole in the device's memory, in a new order in every epoch."""

    def __init__(
        self, folder: Path, mixture: MarkedPages, images: ImageProcessor, pictures: int, device: torch.device | str
    ) -> None:
        """Reads the pool.

        Raises:
            RecordError: there is none in the folder, or a shard is damaged.
        """
        self.mixture = mixture
        self.waited_s = 0.0
        self.position = 0
        arrays = _read(folder, device)
        self._images, self._targets = arrays.pop(PICTURES), arrays
        self._pictures = min(pictures, len(self._images))
        self._processor = images

    def seek(self, position: int) -> None:
        """Go on from `position`."""
        self.position = position

    def __iter__(self) -> Iterator[MarkedBatch]:
        return self

    def __next__(self) -> MarkedBatch:
        batches = len(self._images) // self._pictures
        epoch, number = divmod(self.position // self._pictures, batches)
        order = epoch_order(len(self._images), self.mixture.seed, epoch)
        chosen = torch.tensor(order[number * self._pictures : (number + 1) * self._pictures])
        chosen = chosen.to(self._images.device)
        self.position += self._pictures
        frames = self._images[chosen]
        grid = torch.tensor(self._processor.grid(frames.shape[2], frames.shape[1])).expand(len(frames), 3)
        targets = {name: values[chosen].flatten(0, 1).long() for name, values in self._targets.items()}
        return MarkedBatch(self._processor.pictures(frames), grid, targets, self.position)

    def __enter__(self) -> "PooledLoader":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """The pool stays."""


def _read(folder: Path, device: torch.device | str) -> dict[str, Tensor]:
    files = sorted(folder.glob("marked-?????.npz"))
    if not files:
        raise RecordError(f"{folder} holds no marked pictures; expected marked-*.npz")
    parts: dict[str, list[Tensor]] = {}
    for file in files:
        try:
            with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
                for name in (PICTURES, *(item.name for item in fields(TokenTargets))):
                    parts.setdefault(name, []).append(torch.from_numpy(arrays[name]).to(device))
        except Exception as error:  # numpy's reader raises whatever zip and its header's parser raise
            raise RecordError(f"{file} is damaged: {error!r}; delete it and draw again") from error
    return {name: torch.cat(tensors) for name, tensors in parts.items()}
