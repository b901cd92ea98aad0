"""What a dry run says of memory is what a small network holds: weights, optimizer state, and what backward needs."""

import gc
import weakref
from dataclasses import replace
from typing import Any

import pytest
import torch
from parallel_jobs import small_config
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from qwen2vl_agent.data.packing import Batch, Row, pack
from qwen2vl_agent.model.inputs import ModelInputs
from qwen2vl_agent.model.mrope import mrope_positions
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.recipes.staged import plan_stage
from qwen2vl_agent.recipes.stages import STAGE_RECIPES
from qwen2vl_agent.training.config import TrainConfig
from qwen2vl_agent.training.optim import make_optimizer
from qwen2vl_agent.training.parallel import activations
from qwen2vl_agent.training.parallel.apply import apply_parallel
from qwen2vl_agent.training.parallel.dry_run import GIB, StagePlan, plan
from qwen2vl_agent.training.parallel.grid import joined
from qwen2vl_agent.training.parallel.layout import PATCHES_PER_TOKEN, Layout
from qwen2vl_agent.training.parallel.lora import add_lora
from qwen2vl_agent.training.parallel.stage import Stage
from qwen2vl_agent.training.parallel.step import ParallelStep, local_part
from qwen2vl_agent.training.parallel.zero import gather_weights

SIDE = 32
PATCHES = SIDE * SIDE
TOKENS = int(PATCHES / PATCHES_PER_TOKEN)


def config() -> Any:
    """Wide enough that what belongs to a token alone (ids, angles) is small beside its activations."""
    small = small_config(tied=False)
    text = replace(
        small.text,
        hidden_size=96,
        intermediate_size=320,
        num_attention_heads=6,
        num_key_value_heads=2,
        mrope_section=(2, 3, 3),
    )
    return replace(small, text=text, vision=replace(small.vision, embed_dim=64, num_heads=2))


def batch() -> Batch:
    """A picture and words, as many patches for each token as a dry run reckons with; all words are to be predicted."""
    ids = [152, *[150] * (PATCHES // 4), 153]
    shown = len(ids)
    ids += [5] * (TOKENS - shown)
    labels = torch.tensor([-100] * shown + ids[shown:])
    grid, positions = torch.tensor([[1, SIDE, SIDE]]), mrope_positions(ids, [[1, SIDE, SIDE]], [], config())
    return pack([Row(ModelInputs(torch.tensor(ids), positions, torch.randn(PATCHES, 1176), grid), labels, "a")])


class Held(TorchDispatchMode):
    """Which of the storages that were made within are still there; views are of what was there before."""

    def __init__(self) -> None:
        super().__init__()
        self._made: dict[int, Any] = {}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = function(*args, **(kwargs or {}))
        given = {id(storage) for storage in storages((args, kwargs))}
        for storage in storages(out):
            if id(storage) not in given:
                self._made[id(storage)] = (weakref.ref(storage), storage.nbytes())
        return out

    def bytes(self) -> int:
        gc.collect()
        alive = [(ref(), size) for ref, size in self._made.values()]
        return sum(size for storage, size in alive if storage is not None)


def storages(values: Any) -> list[Any]:
    return [value.untyped_storage() for value in tree_leaves(values) if isinstance(value, torch.Tensor)]


def after_forward(train: TrainConfig, recompute: Any, rank: int = 0) -> tuple[StagePlan, float]:
    """The plan, and the bytes that a forward pass of one micro-batch leaves behind for backward."""
    (told,) = plan(config(), Layout(), train, recompute, rank)
    row = batch()
    with joined(Layout()) as grid:
        stage = prepared(grid, train, recompute, rank)
        gather_weights(stage)
        with Held() as held:
            loss = stage(row.inputs.input_ids, row, row.weight)
        kept = held.bytes()
        assert loss.requires_grad
    return told, kept


def prepared(grid: Any, train: TrainConfig, recompute: Any, rank: int) -> Stage:
    model = Qwen2VL(config(), seed=0)
    if rank:
        add_lora(model, rank, alpha=1.0)
    return apply_parallel(model, grid, train, recompute)


@pytest.mark.multiprocess
@pytest.mark.parametrize("recompute", ["none", "selective", "full"])
@pytest.mark.parametrize("stage", ["stage2", "stage3"])
def test_estimated_activations_are_what_a_forward_pass_keeps(stage, recompute):
    train = TrainConfig(stage=stage, steps=1, dtype="float32", batch_tokens=TOKENS)
    told, kept = after_forward(train, recompute)
    row = activations.Row(tokens=TOKENS, patches=PATCHES, item=4)
    again = [activations.decoder_block(config(), row, "none")] if recompute != "none" else [0.0]
    if stage == "stage3" or recompute != "none":  # nothing is left of a locked encoder
        again.append(activations.vision_block(config(), row, "none"))
    kept -= 4 * len(batch().targets.ids) * config().text.vocab_size  # the softmax, whose largest moment is told
    told_kept = told.activations_gib * GIB - max(again) - activations.logits(config(), row, train.logits_chunk)
    assert told_kept == pytest.approx(kept, rel=0.1)


@pytest.mark.multiprocess
def test_weights_gradients_and_optimizer_state_are_counted_to_the_byte():
    train = TrainConfig(stage="stage3", steps=1, dtype="bfloat16", batch_tokens=TOKENS)
    (told,) = plan(config(), Layout(), train, "full", 4)
    with joined(Layout()) as grid:
        stage = prepared(grid, train, "full", 4)
        optimizer = make_optimizer(stage, train)
        step = ParallelStep(stage, grid, ["a"], train.dtype)
        step.gradients([batch()])
        trained = [local_part(p) for p in stage.parameters() if p.requires_grad]
        locked = [p for p in stage.parameters() if not p.requires_grad]
        gradients = [local_part(p.grad) for p in stage.parameters() if p.grad is not None]
        step.apply(optimizer, 1.0)
        moments = [local_part(m) for state in optimizer.state.values() for m in state.values() if m.dim()]
        assert {p.dtype for p in locked} == {torch.bfloat16}
        assert {t.dtype for t in (*trained, *gradients, *moments)} == {torch.float32}
    assert told.gradients_gib * GIB == bytes_of(gradients)
    assert told.optimizer_gib * GIB == bytes_of(trained) + bytes_of(moments)
    assert told.weights_gib * GIB == bytes_of(locked) + bytes_of(trained) / 2  # those are gathered in bfloat16


def bytes_of(tensors: list[torch.Tensor]) -> int:
    return sum(tensor.numel() * tensor.itemsize for tensor in tensors)


def test_the_recipe_for_one_gpu_fits_into_24_gigabytes():
    (told,) = plan_stage(STAGE_RECIPES["lora"], 1, {})
    assert told.parameters - told.trained_parameters == pytest.approx(8.29e9, rel=1e-2)
    assert told.weights_gib == pytest.approx(2 * told.parameters / GIB, rel=1e-6)
    assert told.total_gib * GIB < 22e9  # two are left for what the device itself takes


def test_a_first_stage_at_full_size_needs_no_more_than_the_others():
    stages = plan_stage(STAGE_RECIPES["stage2"], 512, {"size": "72b"})
    assert stages[0].total_gib < 1.25 * stages[1].total_gib < 30
