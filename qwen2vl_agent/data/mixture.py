"""Sources of examples, and the order in which a training run draws from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from qwen2vl_agent.data.example import Encodable
from qwen2vl_agent.schema.errors import ConfigError

BLOCK = 1024
"""Positions in which every source gets exactly its share, in an order shuffled by the seed."""


class Source(Protocol):
    """An endless supply of examples, each a pure function of its index and the source's own seed.

    Purity is what makes a run resumable: no source keeps a state, so any index can be asked for at any time, in any
    worker process. A finite source starts over, best in another order. Sources must be picklable.
    """

    @property
    def name(self) -> str:
        """Under which its loss is reported."""
        ...

    def example(self, index: int) -> Encodable:
        """The example with this number, counted from 0 without an end."""


class Drawing(Protocol):
    """What a loader draws from: a `Mixture`, a `Share` of one, or a replica's rows of a plan."""

    def drawn(self, position: int) -> list[tuple[Source, int]]:
        """What is at this position: sources, each with the index to ask it for."""


@runtime_checkable
class Prepared(Protocol):
    """A source that fetches from afar."""

    def prepare(self, index: int) -> None:
        """Begins to fetch what an example needs that will be asked for soon."""


@dataclass(frozen=True)
class Mixture:
    """Weighted sources, drawn in an order that is a pure function of (seed, position)."""

    sources: Sequence[tuple[Source, float]]
    """Each source with its share of the examples, in any unit."""
    seed: int = 0

    def __post_init__(self) -> None:
        names = [source.name for source, _ in self.sources]
        if not names or len(set(names)) != len(names):
            raise ConfigError(f"a mixture needs sources with different names, got {names}")
        if any(weight <= 0 for _, weight in self.sources):
            raise ConfigError(f"every source of a mixture needs a weight above 0, got {self.describe()['weights']}")

    def pick(self, position: int) -> tuple[Source, int]:
        """The source at this position and the index to ask it for: 0, 1, 2, … over all positions of one source.

        Worked example with weights 3 to 1 and blocks of 4: positions 0..3 shuffle to, say, a a b a, which are
        a[0] a[1] b[0] a[2]; position 4 opens the next block, so a b a a there are a[3] b[1] a[4] a[5].
        """
        slots = _share_out(tuple(weight for _, weight in self.sources))
        order, rank = _block_order(self.seed, slots, position // BLOCK)
        place = position % BLOCK
        number = int(order[place])
        return self.sources[number][0], position // BLOCK * slots[number] + int(rank[place])

    def drawn(self, position: int) -> list[tuple[Source, int]]:
        """One example is at each position."""
        return [self.pick(position)]

    def example(self, position: int) -> Encodable:
        """The example at this position."""
        source, index = self.pick(position)
        return source.example(index)

    def describe(self) -> dict[str, Any]:
        """What fixes the order, for a checkpoint to compare on resuming."""
        return {"seed": self.seed, "weights": {source.name: float(weight) for source, weight in self.sources}}


@dataclass(frozen=True)
class Share:
    """One replica's part of a mixture: its position p is the mixture's position p x count + rank."""

    whole: Mixture
    rank: int
    count: int

    def pick(self, position: int) -> tuple[Source, int]:
        """The source at this position of the share, and the index to ask it for."""
        return self.whole.pick(position * self.count + self.rank)

    def drawn(self, position: int) -> list[tuple[Source, int]]:
        """One example is at each position."""
        return [self.pick(position)]

    def example(self, position: int) -> Encodable:
        """The example at this position of the share."""
        return self.whole.example(position * self.count + self.rank)

    def describe(self) -> dict[str, Any]:
        """As the whole mixture, and among how many it is shared."""
        return self.whole.describe() | {"replicas": self.count}


@lru_cache(maxsize=64)
def _share_out(weights: tuple[float, ...]) -> tuple[int, ...]:
    """Slots of a block for each weight: largest remainders, and at least one each."""
    ideal = np.array(weights) / sum(weights) * BLOCK
    slots = np.maximum(np.floor(ideal).astype(int), 1)
    while slots.sum() < BLOCK:
        slots[np.argmax(ideal - slots)] += 1
    while slots.sum() > BLOCK:
        slots[np.argmin(np.where(slots > 1, ideal - slots, np.inf))] -= 1
    return tuple(int(count) for count in slots)


@lru_cache(maxsize=16)
def _block_order(seed: int, slots: tuple[int, ...], block: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Which source stands at each place of a block, and how many of the same source stand before it there."""
    order = np.repeat(np.arange(len(slots)), slots)
    np.random.Generator(np.random.Philox(key=[seed & (2**64 - 1), block])).shuffle(order)
    rank = np.empty(BLOCK, dtype=int)
    for number, count in enumerate(slots):
        rank[order == number] = np.arange(count)
    return order, rank
