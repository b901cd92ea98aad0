"""Batches of pictures with what every token of them shows."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from types import TracebackType
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from qwen2vl_agent.data.synthetic.marks import TokenTargets, token_targets
from qwen2vl_agent.data.synthetic.page_store import RecordedPage
from qwen2vl_agent.model.image_processor import ImageProcessor


@dataclass(frozen=True, slots=True)
class MarkedBatch:
    """Pictures and the classes of their tokens."""

    pixel_values: Tensor
    """[P, 1176] patches of all pictures."""
    image_grid_thw: Tensor
    """[pictures, 3]"""
    targets: dict[str, Tensor]
    """The fields of `TokenTargets`, of all pictures one after the other."""
    position: int = 0
    """Of the first picture after this batch: where a resumed run goes on."""

    @property
    def num_tokens(self) -> int:
        """Visual tokens."""
        return len(self.targets["icon"])

    @property
    def num_examples(self) -> int:
        """Pictures."""
        return len(self.image_grid_thw)

    @property
    def num_patches(self) -> int:
        """Patches of all pictures."""
        return len(self.pixel_values)

    @property
    def weight(self) -> float:
        """What the batch counts in a step: each picture one."""
        return float(self.num_examples)

    def to(self, device: torch.device | str) -> "MarkedBatch":
        """The same on another device."""
        return replace(
            self,
            pixel_values=self.pixel_values.to(device),
            image_grid_thw=self.image_grid_thw.to(device),
            targets={name: value.to(device) for name, value in self.targets.items()},
        )


class Pages(Protocol):
    """Pages by number, such as a `PageStore`."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> RecordedPage: ...


@dataclass(frozen=True, slots=True)
class MarkedPages:
    """Pictures without end, each a pure function of its number: some of a store, the others drawn."""

    pages: Pages
    draw: Callable[[random.Random], RecordedPage]
    seed: int
    drawn: float
    """Share of pictures that are drawn."""

    def page(self, index: int) -> RecordedPage:
        """The picture with this number."""
        rng = random.Random(f"{self.seed}/{index}")
        return self.draw(rng) if rng.random() < self.drawn else self.pages[rng.randrange(len(self.pages))]

    def describe(self) -> dict[str, Any]:
        """What fixes the order, for a checkpoint to compare on resuming."""
        return {"seed": self.seed, "pages": len(self.pages), "drawn": self.drawn}


class MarkedLoader:
    """An endless iterator of batches of `pictures` pictures; of several replicas each takes every `count`-th."""

    def __init__(
        self,
        mixture: MarkedPages,
        images: ImageProcessor,
        pictures: int,
        icons: dict[str, int],
        *,
        rank: int = 0,
        count: int = 1,
    ) -> None:
        self.mixture = mixture
        self.waited_s = 0.0
        self.position = 0
        self._images = images
        self._pictures = pictures
        self._icons = icons
        self._rank, self._count = rank, count

    def seek(self, position: int) -> None:
        """Go on from `position`."""
        self.position = position

    def __iter__(self) -> Iterator[MarkedBatch]:
        return self

    def __next__(self) -> MarkedBatch:
        numbers = range(self.position, self.position + self._pictures)
        self.position += self._pictures
        pages = [self.mixture.page(number * self._count + self._rank) for number in numbers]
        return replace(marked_batch(pages, self._images, self._icons), position=self.position)

    def __enter__(self) -> "MarkedLoader":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Nothing is held."""


def marked_batch(pages: Sequence[RecordedPage], images: ImageProcessor, icons: dict[str, int]) -> MarkedBatch:
    """The pages, whose size is already the model's, as one batch."""
    patches, grids = zip(*(images.patches(np.asarray(page.image)[None]) for page in pages), strict=True)
    targets = [token_targets(page, icons) for page in pages]
    joined = {
        item.name: torch.from_numpy(np.concatenate([getattr(target, item.name) for target in targets]))
        for item in fields(TokenTargets)
    }
    return MarkedBatch(torch.cat(patches), torch.tensor(grids), joined)
