"""Which rows a step trains on, whatever the layout.

A step is `rows` packed rows, one from each of as many streams; stream i takes every `rows`-th example of the mixture
and packs them by itself. A replica works on every dp-th stream. So the order depends on the seed and on `rows` only:
a run goes on exactly in any layout whose dp divides `rows`. `planned_rows.py` does the same by an index.
"""

from typing import Any, Protocol

import torch

from qwen2vl_agent.data.loader import Loader
from qwen2vl_agent.data.mixture import Mixture, Share
from qwen2vl_agent.data.packing import Batch
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.training.parallel.grid import Grid


class Rows(Protocol):
    """What a trainer gets its rows from."""

    @property
    def sources(self) -> list[str]:
        """Names under which losses are counted."""

    @property
    def waited_s(self) -> float:
        """Seconds that steps waited for rows, in all."""

    def next_rows(self) -> list[Batch] | None:
        """This replica's rows of the next step; None where another process reads them."""

    def positions(self) -> list[int]:
        """Where a run goes on; a collective call."""

    def seek(self, positions: list[int]) -> None:
        """Go on from where `positions` says."""

    def describe(self) -> dict[str, Any]:
        """What fixes the order, for a checkpoint to compare on resuming."""

    def close(self) -> None:
        """End the workers."""


class RowStreams:
    """The streams of this replica; only the process that reads opens any."""

    def __init__(
        self,
        mixture: Mixture,
        processor: Any,
        grid: Grid,
        *,
        rows: int,
        batch_tokens: int,
        workers: int = 0,
        pixel_dtype: torch.dtype = torch.float32,
    ) -> None:
        """`workers`: processes that encode for each stream; 0 encodes in this one.

        Raises:
            ConfigError: the rows do not divide among the replicas.
        """
        if rows % grid.layout.dp:
            raise ConfigError(f"rows_per_step is {rows}; --dp {grid.layout.dp} must divide it")
        self._mixture, self._rows, self._grid = mixture, rows, grid
        numbers = range(grid.replica, rows, grid.layout.dp) if grid.reads else ()
        self._loaders = {
            number: Loader(
                Share(mixture, number, rows), processor, batch_tokens, workers=workers, pixel_dtype=pixel_dtype
            )
            for number in numbers
        }

    @property
    def sources(self) -> list[str]:
        """Names of the mixture's sources."""
        return [source.name for source, _ in self._mixture.sources]

    @property
    def waited_s(self) -> float:
        """Seconds that steps waited for rows, in all."""
        return sum(loader.waited_s for loader in self._loaders.values())

    def next_rows(self) -> list[Batch] | None:
        """This replica's rows of the next step; None where another process reads them."""
        return [next(loader) for loader in self._loaders.values()] if self._grid.reads else None

    def positions(self) -> list[int]:
        """Where every stream of the whole job is; a collective call."""
        places = torch.zeros(self._rows, dtype=torch.int64)
        for number, loader in self._loaders.items():
            places[number] = loader.position
        torch.distributed.all_reduce(places)
        return places.tolist()

    def seek(self, positions: list[int]) -> None:
        """Go on from where `positions` says."""
        for number, loader in self._loaders.items():
            loader.seek(positions[number])

    def describe(self) -> dict[str, Any]:
        """What fixes the order, for a checkpoint to compare on resuming."""
        return self._mixture.describe() | {"rows_per_step": self._rows}

    def close(self) -> None:
        """End the workers."""
        for loader in self._loaders.values():
            loader.close()
