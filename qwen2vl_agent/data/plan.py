"""Which documents each row of each step holds, from the stores' indexes alone: a pure function of seed and step.

No process asks another: each computes the same plan before a pixel is fetched. Every source is an endless line of its
documents' tokens, epoch after epoch, each in another order. A window of some steps takes of each line the stretch that
is the source's share, so that shares of tokens are met to within one document at any time. The window's documents are
spread over its steps, a step's over the replicas, and a replica's over its rows, each time so that all are equally full
and the vision encoder has equally much to do. What a step holds does not depend on the number of replicas.
"""

import heapq
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from qwen2vl_agent.data.mixture import Mixture, Source
from qwen2vl_agent.data.order import epoch_order
from qwen2vl_agent.data.text_store import StoredSource
from qwen2vl_agent.schema.errors import ConfigError

Array = npt.NDArray[Any]
WINDOW_ROWS = 256
"""Rows of about as many steps are planned together: the more, the better they come out even."""
FILLS = (0.998, 0.995, 0.99, 0.98, 0.96, 0.93, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5)
"""How full rows may be planned; the first with which no row of the first steps overflows."""
TRIED = 8
"""Steps that are planned to see whether rows overflow."""
LARGE = 0.25
"""Part of a row from which a document is placed before all others."""


@dataclass(frozen=True, slots=True)
class Documents:
    """Some documents of a plan."""

    source: Array
    """[documents] number of each one's source."""
    number: Array
    """[documents] its number in the source."""
    tokens: Array
    patches: Array

    def __len__(self) -> int:
        return len(self.number)

    def parts(self, count: int, capacity: float) -> "list[Documents]":
        """The same, spread over as many parts."""
        return [self._some(places) for places in spread(self.tokens, self.patches, count, capacity)]

    def _some(self, places: list[int]) -> "Documents":
        where = np.array(places, dtype=np.int64)
        return Documents(self.source[where], self.number[where], self.tokens[where], self.patches[where])


@dataclass(frozen=True)
class TokenLine:
    """One source's documents in a row without an end; each epoch has another order."""

    tokens: Array
    """[documents] length of each."""
    seed: int
    _epochs: dict[int, tuple[Array, Array]] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def total(self) -> int:
        """Tokens of an epoch."""
        return int(self.tokens.sum())

    def between(self, start: int, end: int) -> Array:
        """The documents that begin at a token from `start` to `end - 1`.

        Worked example, lengths 3 2 4 in this order, twice: from 4 to 12 are the documents that begin at 5, 9: 2, 0.
        """
        found = []
        for epoch in range(start // self.total, (end - 1) // self.total + 1 if end > start else 0):
            order, begins = self._epoch(epoch)
            edges = np.array([start, end]) - epoch * self.total
            first, last = np.searchsorted(begins, edges)
            found.append(order[first:last])
        return np.concatenate(found) if found else np.empty(0, np.int64)

    def _epoch(self, epoch: int) -> tuple[Array, Array]:
        """The documents in the epoch's order, and where each begins. The last two epochs are kept."""
        if epoch not in self._epochs:
            order = epoch_order(len(self.tokens), self.seed, epoch)
            self._epochs[epoch] = order, np.cumsum(self.tokens[order]) - self.tokens[order]
            for old in [other for other in self._epochs if abs(other - epoch) > 1]:
                del self._epochs[old]
        return self._epochs[epoch]


class DataPlan:
    """The rows of every step of a run on text stores."""

    def __init__(self, mixture: Mixture, *, rows: int, batch_tokens: int) -> None:
        """A step has `rows` rows of about `batch_tokens` tokens; the mixture's weights are shares of tokens.

        A document longer than a row makes a longer one.

        Raises:
            ConfigError: a source is no text store.
        """
        self.mixture, self.rows, self.batch_tokens = mixture, rows, batch_tokens
        self.sources = [_by_number(source) for source, _ in mixture.sources]
        sizes = [source.of.store.sizes() for source in self.sources]
        self._patches = [patches for _, patches in sizes]
        self._lines = [TokenLine(tokens, mixture.seed + number) for number, (tokens, _) in enumerate(sizes)]
        whole = sum(weight for _, weight in mixture.sources)
        self._shares = [weight / whole for _, weight in mixture.sources]
        self.steps = -(-WINDOW_ROWS // rows)
        """Steps of a window."""
        self.fill = next((fill for fill in FILLS if self._fits(fill)), FILLS[-1])
        """Part of the rows' tokens that is planned to be used."""
        self._window: tuple[int, list[Documents]] = (-1, [])

    def step(self, number: int, replicas: int = 1) -> list[list[Documents]]:
        """The rows of each replica in the step with this number, counted from 0 without an end."""
        window, place = divmod(number, self.steps)
        if self._window[0] != window:
            self._window = window, self._steps_of(window, self.fill)
        return self._rows_of(self._window[1][place], replicas)

    def describe(self) -> dict[str, Any]:
        """What fixes the plan, for a checkpoint to compare on resuming."""
        counts = {source.name: len(line.tokens) for source, line in zip(self.sources, self._lines, strict=True)}
        size = {"rows_per_step": self.rows, "batch_tokens": self.batch_tokens, "fill": self.fill}
        return self.mixture.describe() | size | {"documents": counts}

    def _fits(self, fill: float) -> bool:
        limit = max(self.batch_tokens, *(int(line.tokens.max()) for line in self._lines))
        steps = [step for window in range(-(-TRIED // self.steps)) for step in self._steps_of(window, fill)][:TRIED]
        return all(row.tokens.sum() <= limit for step in steps for row in self._rows_of(step, 1)[0])

    def _steps_of(self, window: int, fill: float) -> list[Documents]:
        """What each step of a window holds."""
        size = self.steps * self.rows * self.batch_tokens
        found = self._documents(window, fill * size)
        if len(found) < self.steps * self.rows:
            raise ConfigError(
                f"{len(found)} documents are to fill {self.steps * self.rows} rows of {self.batch_tokens} tokens; "
                "lower batch_tokens"
            )
        return found.parts(self.steps, self.rows * self.batch_tokens)

    def _rows_of(self, step: Documents, replicas: int) -> list[list[Documents]]:
        each = self.rows // replicas
        return [part.parts(each, self.batch_tokens) for part in step.parts(replicas, each * self.batch_tokens)]

    def _documents(self, window: int, size: float) -> Documents:
        """Of each source its share of the window's tokens."""
        edges = ((int(window * size * share), int((window + 1) * size * share)) for share in self._shares)
        found = [line.between(*edge) for line, edge in zip(self._lines, edges, strict=True)]
        return Documents(
            np.concatenate([np.full(len(numbers), source) for source, numbers in enumerate(found)]),
            np.concatenate(found),
            np.concatenate([line.tokens[part] for line, part in zip(self._lines, found, strict=True)]),
            np.concatenate([table[part] for table, part in zip(self._patches, found, strict=True)]),
        )


@dataclass(frozen=True)
class PlanShare:
    """One replica's rows of a plan, by their place: what a loader draws from."""

    plan: DataPlan
    replica: int
    replicas: int
    _step: tuple[int, list[Documents]] = field(default=(-1, []), repr=False)

    def drawn(self, position: int) -> list[tuple[Source, int]]:
        """The documents of this replica's row number `position`."""
        step, place = divmod(position, self.plan.rows // self.replicas)
        if self._step[0] != step:
            object.__setattr__(self, "_step", (step, self.plan.step(step, self.replicas)[self.replica]))
        row = self._step[1][place]
        return [(self.plan.sources[source], int(number)) for source, number in zip(row.source, row.number, strict=True)]

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process reads the indexes itself."""
        plan = self.plan
        return _shared_again, (plan.mixture, plan.rows, plan.batch_tokens, self.replica, self.replicas)


def _shared_again(mixture: Mixture, rows: int, batch_tokens: int, replica: int, replicas: int) -> PlanShare:
    return PlanShare(DataPlan(mixture, rows=rows, batch_tokens=batch_tokens), replica, replicas)


@dataclass(frozen=True)
class _ByNumber:
    """A store's documents by their number, not by their place in an epoch."""

    of: StoredSource

    @property
    def name(self) -> str:
        return self.of.name

    def example(self, index: int) -> Any:
        return self.of.document(index)

    def prepare(self, index: int) -> None:
        self.of.fetch(index)


def _by_number(source: Source) -> _ByNumber:
    if not isinstance(source, StoredSource):
        raise ConfigError(f"{source.name} is no text store; make one with: qwen2vl-agent data build")
    return _ByNumber(source)


def spread(tokens: Array, patches: Array, rows: int, capacity: float) -> list[list[int]]:
    """Documents over rows: for each row the places of its documents.

    Large documents come first, each to the emptiest row; then those with pictures, each to the row with the fewest
    patches that has room; text alone fills what is left. A row overflows only when no row has room.
    """
    held: list[list[int]] = [[] for _ in range(rows)]
    filled, seen = [0] * rows, [0] * rows
    large = tokens >= LARGE * capacity
    groups = (
        (large, tokens, filled),
        (~large & (patches > 0), patches, seen),
        (~large & (patches == 0), tokens, filled),
    )
    for chosen, size, load in groups:
        places = np.flatnonzero(chosen)
        heap = [(load[row], filled[row], row) for row in range(rows)]
        heapq.heapify(heap)
        for place in places[np.argsort(-size[places], kind="stable")].tolist():
            row = _row_with_room(heap, filled, capacity - tokens[place])
            held[row].append(place)
            filled[row] += int(tokens[place])
            seen[row] += int(patches[place])
            heapq.heappush(heap, (load[row], filled[row], row))
    return held


def _row_with_room(heap: list[tuple[int, int, int]], filled: list[int], most: float) -> int:
    """Takes from the heap the first row that is filled with no more than `most`, or the emptiest if there is none."""
    passed = []
    while heap:
        entry = heapq.heappop(heap)
        if filled[entry[2]] <= most:
            break
        passed.append(entry)
    else:
        entry = min(passed, key=lambda one: filled[one[2]])
        passed.remove(entry)
    for other in passed:
        heapq.heappush(heap, other)
    return entry[2]
