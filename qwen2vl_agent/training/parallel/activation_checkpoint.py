"""Activation checkpointing: what a block computes in forward is kept, kept in part, or computed again in backward."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal

from torch import nn
from torch.utils.checkpoint import CheckpointPolicy, checkpoint, create_selective_checkpoint_contexts

from qwen2vl_agent.training.parallel.stage import Stage

Recompute = Literal["none", "selective", "full"]
_KEPT = (
    "aten.mm.default",
    "aten.addmm.default",
    "aten._scaled_dot_product_flash_attention_for_cpu.default",
    "aten._scaled_dot_product_flash_attention.default",
    "aten._scaled_dot_product_efficient_attention.default",
    "aten._scaled_dot_product_cudnn_attention.default",
)
"""What `selective` keeps: products and attention, which cost most to compute again. Norms, activations, rotations and
messages are cheap beside what they hold. Source: arXiv 2205.05198 §5."""
_again = 0
"""How many `computed_again` there are around what is running."""


@contextmanager
def computed_again() -> Iterator[None]:
    """Products in here are not kept by `selective`: they are wide beside what they cost."""
    global _again
    _again += 1
    try:
        yield
    finally:
        _again -= 1


def apply_activation_checkpoint(stage: Stage, recompute: Recompute) -> None:
    """Let every transformer block keep as much as `recompute` says. The parameters' names stay."""
    if recompute == "none":
        return
    blocks = list(stage.language_model.layers.values())
    blocks += list(stage.visual.blocks) if stage.visual is not None else []
    for block in blocks:
        recompute_block(block, recompute)


def recompute_block(block: nn.Module, recompute: Recompute) -> None:
    """Let one block keep as much as `recompute` (selective or full) says."""
    options: dict[str, Any] = {"use_reentrant": False, "preserve_rng_state": False}
    if recompute == "selective":
        options["context_fn"] = partial(create_selective_checkpoint_contexts, _policy)
    block.forward = partial(checkpoint, block.forward, **options)


def _policy(_: Any, op: Any, *args: Any, **kwargs: Any) -> CheckpointPolicy:
    keep = str(op) in _KEPT and not _again
    return CheckpointPolicy.MUST_SAVE if keep else CheckpointPolicy.PREFER_RECOMPUTE
