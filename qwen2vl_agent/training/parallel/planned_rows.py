"""Rows by an index-only plan: takes the place of `RowStreams` where all data are in text stores."""

from typing import Any

import torch

from qwen2vl_agent.data.loader import Loader
from qwen2vl_agent.data.packing import Batch
from qwen2vl_agent.data.plan import DataPlan, PlanShare
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.training.parallel.grid import Grid


class PlannedRows:
    """This replica's rows of a plan; only the process that reads opens a loader."""

    def __init__(
        self,
        plan: DataPlan,
        processor: Any,
        grid: Grid,
        *,
        workers: int = 0,
        pixel_dtype: torch.dtype = torch.float32,
    ) -> None:
        """`workers`: processes that encode; 0 encodes in this one.

        Raises:
            ConfigError: the rows do not divide among the replicas.
        """
        if plan.rows % grid.layout.dp:
            raise ConfigError(f"rows_per_step is {plan.rows}; --dp {grid.layout.dp} must divide it")
        self._plan, self._grid, self._each, self._step = plan, grid, plan.rows // grid.layout.dp, 0
        share = PlanShare(plan, grid.replica, grid.layout.dp)
        options: dict[str, Any] = {"workers": workers, "pixel_dtype": pixel_dtype, "chunk": 1}
        self._loader = Loader(share, processor, None, **options) if grid.reads else None

    @property
    def sources(self) -> list[str]:
        """Names of the plan's sources."""
        return [source.name for source in self._plan.sources]

    @property
    def waited_s(self) -> float:
        """Seconds that steps waited for rows, in all."""
        return 0.0 if self._loader is None else self._loader.waited_s

    def next_rows(self) -> list[Batch] | None:
        """This replica's rows of the next step; None where another process reads them."""
        self._step += 1
        return None if self._loader is None else [next(self._loader) for _ in range(self._each)]

    def positions(self) -> list[int]:
        """The next step: the whole state, in any layout."""
        return [self._step]

    def seek(self, positions: list[int]) -> None:
        """Go on from where `positions` says."""
        (self._step,) = positions
        if self._loader is not None:
            self._loader.seek(self._step * self._each)

    def describe(self) -> dict[str, Any]:
        """What fixes the order, for a checkpoint to compare on resuming."""
        return self._plan.describe()

    def close(self) -> None:
        """End the workers."""
        if self._loader is not None:
            self._loader.close()
