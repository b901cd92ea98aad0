"""One optimizer step of the whole job."""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer

from qwen2vl_agent.data.packing import Batch
from qwen2vl_agent.training.parallel.exchange import share_rows
from qwen2vl_agent.training.parallel.flops import Passes, step_flops
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
        self.passes = Passes.of([name for name, parameter in stage.named_parameters() if parameter.requires_grad])
        """What training takes of this stage; the trainer sets that of the whole network."""
        self.stage = stage
        self._grid = grid
        self._sources = list(sources)
        self._rows: list[Batch] = []
        self.dtype = torch.bfloat16 if dtype == "bfloat16" else torch.float32
        self.work = 0.0
        """Floating point operations of this process's stage and rows in the last step, all tensor-parallel parts."""
        self._pipeline = Pipeline(stage, grid, self.dtype)

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
        self._rows = rows
        stage, layers = self.stage, len(self.stage.language_model.layers)
        self.work = step_flops(stage.config, self.passes, rows, layers, stage.first, stage.last)
        return self._count(batches)

    def computed_s(self) -> float:
        """Seconds that this process computed in the last step; waiting for other stages is none."""
        return self._pipeline.computed_s()

    def worst_examples(self, count: int = 5) -> list[dict[str, Any]]:
        """The examples of the last step with the highest losses, those not finite first; a collective call."""
        own = []
        for row, sums in zip(self._rows, self.stage.done, strict=True) if self._grid.tells else ():
            losses = [] if sums.by_example is None else sums.by_example.tolist()
            own += [(loss, *name) for loss, name in zip(losses, row.examples, strict=False)]  # padding has no name
        everyone: list[Any] = [None] * dist.get_world_size()
        dist.all_gather_object(everyone, sorted(own, key=_badness)[:count])
        found = sorted((one for part in everyone for one in part), key=_badness)[:count]
        return [{"source": source, "index": index, "loss": loss} for loss, source, index in found]

    def apply(self, optimizer: Optimizer | None, clip_norm: float, skip: bool = False) -> float:
        """Clip, and let the optimizer of this stage (None where nothing trains) move the weights; gives the norm.

        A gradient that is not finite, or is to be skipped, moves nothing.
        """
        norm = self.gradient_norm()
        if optimizer is None:
            return norm
        if norm < float("inf") and not skip:
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
        layout = self._grid.layout
        counted = torch.zeros(2 * size + 5 + layout.dp, dtype=torch.float64)
        for sums in self.stage.done if self._grid.tells else ():
            where = [self._sources.index(source) for source in sums.sources]
            counted[where] += sums.by_source.double().cpu()
            counted[[size + place for place in where]] += sums.counts.double().cpu()
        others = counted[2 * size :]
        if own is not None:
            others[:4] = torch.tensor(_sizes(own, layout.tp), dtype=torch.float64)
            others[5 + self._grid.replica] = others[1]
        others[4] = self.work / layout.tp
        dist.all_reduce(counted)
        numbers = counted.tolist()
        tokens, patches, examples, padding, flops = numbers[2 * size : 2 * size + 5]
        return StepResult(
            tokens=int(tokens),
            patches=int(patches),
            examples=int(examples),
            padding=int(padding),
            flops=flops,
            balance=max(numbers[2 * size + 5 :]) * layout.dp / patches if patches else 1.0,
            losses=dict(zip(self._sources, numbers[:size], strict=True)),
            targets={name: int(count) for name, count in zip(self._sources, numbers[size:], strict=False)},
        )


def _sizes(rows: Sequence[Batch], parts: int) -> tuple[int, int, int, int]:
    """Tokens, patches, examples, and the tokens that are added so that `parts` divides each row's length."""
    counts = ((row.num_tokens, row.num_patches, row.num_examples, -row.num_tokens % parts) for row in rows)
    tokens, patches, examples, padding = map(sum, zip(*counts, strict=True))
    return tokens, patches, examples, padding


def _badness(example: tuple[float, str, int]) -> float:
    """Lowest for the worst."""
    return -example[0] if math.isfinite(example[0]) else -math.inf


def local_part(tensor: Any) -> Tensor:
    """This process's part of a tensor."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def replicated(parameter: Tensor) -> bool:
    """Whether the tensor-parallel processes each have the whole parameter (or none is cut at all)."""
    if not isinstance(parameter, DTensor) or "tp" not in (parameter.device_mesh.mesh_dim_names or ()):
        return False
    return parameter.placements[-1].is_replicate()
