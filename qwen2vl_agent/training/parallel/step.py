"""One optimizer step of the whole job."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer

from qwen2vl_agent.data.packing import Batch
from qwen2vl_agent.training.parallel.exchange import share_rows
from qwen2vl_agent.training.parallel.grid import Grid
from qwen2vl_agent.training.parallel.schedule import Pipeline
from qwen2vl_agent.training.parallel.stage import Stage
from qwen2vl_agent.training.parallel.tensor_parallel import sum_partial_gradients
from qwen2vl_agent.training.parallel.zero import gather_weights
from qwen2vl_agent.training.step import StepResult

EMBEDDING = "language_model.embed_tokens.weight"


class ParallelStep:
    """Gradients of all rows of all replicas, divided by the weight of all their targets together, clipped, applied."""

    def __init__(self, stage: Stage, grid: Grid, sources: Sequence[str], dtype: str) -> None:
        """`sources` are the names under which losses are counted; `dtype` that of the products."""
        self.stage = stage
        self._grid = grid
        self._sources = list(sources)
        self._pipeline = Pipeline(stage, grid, torch.bfloat16 if dtype == "bfloat16" else torch.float32)

    def gradients(self, batches: Sequence[Batch] | None) -> StepResult:
        """Leaves each parameter's gradient of the step's mean loss; the process that reads brings its replica's rows.

        Losses and counts are of the whole job, the same on every process.
        """
        rows = share_rows(batches, self._grid)
        total_weight = self._over_replicas(sum(row.weight for row in rows))
        gather_weights(self.stage)
        self.stage.done.clear()
        self._pipeline.run(rows, max(total_weight, 1e-9))
        if self.stage.partial:
            sum_partial_gradients(self.stage)
        self._sum_tied()
        return self._count(batches)

    def apply(self, optimizer: Optimizer | None, clip_norm: float) -> float:
        """Clip, and let the optimizer of this stage (None where nothing trains) move the weights; gives the norm.

        A gradient that is not finite moves nothing.
        """
        norm = self.gradient_norm()
        if optimizer is None:
            return norm
        if norm < float("inf"):
            scale = clip_norm / (norm + 1e-6)
            if scale < 1.0:
                torch._foreach_mul_([local_part(p.grad) for p in self._with_gradient()], scale)
            optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return norm

    @torch.no_grad()
    def gradient_norm(self) -> float:
        """Norm of the gradient of all parameters of all stages, each counted once."""
        tied_again = self._grid.last and not self._grid.first and self.stage.config.tie_word_embeddings
        squares = 0.0
        for name, parameter in self.stage.named_parameters():
            if parameter.grad is None or (tied_again and name == EMBEDDING):
                continue
            square = float(local_part(parameter.grad).double().square().sum())
            squares += square / (self._grid.layout.tp if replicated(parameter) else 1)
        (total,) = self._grid.sum(squares)
        return total**0.5

    def _with_gradient(self) -> list[nn.Parameter]:
        return [parameter for parameter in self.stage.parameters() if parameter.grad is not None]

    def _sum_tied(self) -> None:
        """The embedding of the first stage and the head of the last are one parameter: both get both gradients."""
        if self._grid.ends is None or not self.stage.config.tie_word_embeddings:
            return
        if not (self._grid.first or self._grid.last):
            return
        parameter = dict(self.stage.named_parameters())[EMBEDDING]
        if parameter.requires_grad:
            assert parameter.grad is not None
            dist.all_reduce(local_part(parameter.grad), group=self._grid.ends)

    def _over_replicas(self, number: float) -> float:
        total = torch.tensor([number], dtype=torch.float64, device=self._grid.device)
        dist.all_reduce(total, group=self._grid.mesh["dp"].get_group())
        return float(total[0])

    def _count(self, own: Sequence[Batch] | None) -> StepResult:
        size = len(self._sources)
        counted = torch.zeros(2 * size + 3, dtype=torch.float64)
        for sums in self.stage.done if self._grid.tells else ():
            where = [self._sources.index(source) for source in sums.sources]
            counted[where] += sums.by_source.double().cpu()
            counted[[size + place for place in where]] += sums.counts.double().cpu()
        if own is not None:
            counted[-3:] = torch.tensor(_sizes(own), dtype=torch.float64)
        dist.all_reduce(counted)
        numbers = counted.tolist()
        return StepResult(
            tokens=int(numbers[-3]),
            patches=int(numbers[-2]),
            examples=int(numbers[-1]),
            losses=dict(zip(self._sources, numbers[:size], strict=True)),
            targets={name: int(count) for name, count in zip(self._sources, numbers[size:], strict=False)},
        )


def _sizes(rows: Sequence[Batch]) -> tuple[int, int, int]:
    """Tokens, patches and examples."""
    counts = ((row.num_tokens, row.num_patches, row.num_examples) for row in rows)
    tokens, patches, examples = map(sum, zip(*counts, strict=True))
    return tokens, patches, examples


def local_part(tensor: Any) -> Tensor:
    """This process's part of a tensor."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def replicated(parameter: Tensor) -> bool:
    """Whether the tensor-parallel processes each have the whole parameter (or none is cut at all)."""
    if not isinstance(parameter, DTensor) or "tp" not in (parameter.device_mesh.mesh_dim_names or ()):
        return False
    return parameter.placements[-1].is_replicate()
