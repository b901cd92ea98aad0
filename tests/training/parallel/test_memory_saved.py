"""What saves memory or mends drift changes no result: recomputing, bfloat16 with float32 weights, offline reduction."""

from typing import Any

import pytest
import torch
from parallel_jobs import SOURCES, rows_of_replica, rows_of_step, run_job, small_network
from test_parity import alone, assert_same, config_of, optimizer_of, together

from qwen2vl_agent.training.config import TrainConfig
from qwen2vl_agent.training.loss import target_loss
from qwen2vl_agent.training.parallel.apply import apply_parallel
from qwen2vl_agent.training.parallel.grid import Grid
from qwen2vl_agent.training.parallel.layout import Layout
from qwen2vl_agent.training.parallel.reduction import reconcile
from qwen2vl_agent.training.parallel.step import ParallelStep, local_part

pytestmark = pytest.mark.timeout(2400)


def every_way(grid: Grid) -> dict[str, Any]:
    return {
        "full": together(grid, "stage2", "sgd", tied=False, recompute="full"),
        "selective": together(grid, "stage2", "sgd", tied=False, recompute="selective"),
        "odd": together(grid, "stage2", "sgd", heads="odd"),
        "bfloat16": in_bfloat16(grid),
        "drift": drifting(grid),
        "kept": [kept_bytes(grid, way) for way in ("none", "full")],
    }


def in_bfloat16(grid: Grid) -> dict[str, Any]:
    """The loss of a step, and the types of weights and gradients."""
    config = TrainConfig(stage="stage2", steps=1, dtype="bfloat16")
    part = apply_parallel(small_network(), grid, config)
    found = ParallelStep(part, grid, SOURCES, config.dtype).gradients(rows_of_replica(grid, 0))
    types = {parameter.dtype for parameter in part.parameters()} | {p.grad.dtype for p in part.parameters()}
    return {"loss": sum(found.losses.values()) / sum(found.targets.values()), "types": types}


def kept_bytes(grid: Grid, recompute: Any) -> int:
    """What a forward pass keeps for backward."""
    part = apply_parallel(small_network(), grid, config_of("stage2"), recompute)
    held: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = local_part(tensor).untyped_storage()
        held[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        ParallelStep(part, grid, SOURCES, "float32").gradients(rows_of_replica(grid, 0))
    return sum(held.values())


def drifting(grid: Grid) -> dict[str, Any]:
    """Three steps in which the patch embedding's gradient is a little different on every process."""
    config = config_of("stage1")
    part = apply_parallel(small_network(), grid, config)
    optimizer = optimizer_of(part, "adamw", config)
    step_of = ParallelStep(part, grid, SOURCES, config.dtype)
    noise = torch.Generator().manual_seed(grid.rank)
    weight = part.visual.patch_embed._parameters["weight"]
    for step in range(3):
        step_of.gradients(rows_of_replica(grid, step))
        gradient = local_part(weight.grad)
        gradient.mul_(1 + 1e-2 * torch.randn(gradient.shape, generator=noise))
        step_of.apply(optimizer, 1.0)
    before = local_part(weight.detach()).clone()
    apart = [reconcile(part, optimizer), reconcile(part, optimizer)]
    mean = before.clone()
    torch.distributed.all_reduce(mean)
    off = float((local_part(weight.detach()) - mean / 2).abs().max())
    return {"apart": apart, "off": off, "own": float((before - mean / 2).abs().max())}


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> Any:
    return run_job(Layout(tp=2), tmp_path_factory.mktemp("tp2"), every_way)


@pytest.mark.multiprocess
@pytest.mark.parametrize("recompute", ["full", "selective"])
def test_recomputing_changes_nothing_and_untied_heads_are_right(found, recompute):
    assert_same(found[recompute], alone("stage2", "sgd", tied=False), "sgd", moved=1e-5)


@pytest.mark.multiprocess
def test_what_cannot_be_shared_stays_whole(found):
    assert_same(found["odd"], alone("stage2", "sgd", heads="odd"), "sgd", moved=1e-5)


@pytest.mark.multiprocess
def test_products_in_bfloat16_leave_weights_and_gradients_in_float32(found):
    assert found["bfloat16"]["types"] == {torch.float32}
    model = small_network()
    sums = [target_loss(model, row) for row in rows_of_step(0)]
    exact = sum(float(s.by_source.sum()) for s in sums) / sum(int(s.counts.sum()) for s in sums)
    assert found["bfloat16"]["loss"] == pytest.approx(exact, rel=2e-2)
    assert found["bfloat16"]["loss"] != exact


@pytest.mark.multiprocess
def test_shared_weights_that_drifted_apart_come_together_at_their_mean(found):
    drift = found["drift"]
    assert drift["apart"][0] > 1e-6
    assert drift["own"] > 0
    assert drift["apart"][1] == 0.0
    assert drift["off"] < 1e-7


@pytest.mark.multiprocess
def test_recomputing_keeps_less(found):
    none, full = found["kept"]
    assert none > 1.5 * full
