"""ZeRO-1 by FSDP2: between steps every replica keeps its share of the weights, gradients and optimizer state.

Within a step weights are gathered once, before the first micro-batch, and gradients summed and shared out once, after
the last: as in ZeRO-1, one message each way and step. That they are gathered up front also keeps replicas together
of which one has no picture and would never run its vision encoder.

What is locked has neither gradient nor optimizer state. Every replica keeps it whole, in the products' type: gathered
for the step it would take as much, and its share in float32 besides.

Source: ZeRO, arXiv 1910.02054; `torch.distributed.fsdp.fully_shard`.
"""

from typing import Any

import torch
from torch import nn
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard

from qwen2vl_agent.training.parallel.grid import Grid
from qwen2vl_agent.training.parallel.stage import Stage


def hold_weights(stage: Stage, trained: set[str], device: torch.device) -> set[nn.Parameter]:
    """Weights that train in float32, whatever the file had, the others in the products' type; gives the others."""
    named = {id(parameter): name for name, parameter in stage.named_parameters()}
    held: dict[int, nn.Parameter] = {}
    for module in stage.modules():
        for name, parameter in module._parameters.items():
            if parameter is None:
                continue
            if id(parameter) not in held:  # a tied head is its embedding
                trains = named[id(parameter)] in trained
                where = parameter.device if trains or parameter.is_meta else device  # shares are moved, not wholes
                dtype = torch.float32 if trains else stage.computes_in
                held[id(parameter)] = nn.Parameter(parameter.detach().to(where, dtype))
            module._parameters[name] = held[id(parameter)]
    return {held[number] for number, name in named.items() if name not in trained}


def apply_zero(stage: Stage, grid: Grid, dtype: torch.dtype, locked: set[nn.Parameter] | None = None) -> None:
    """Share the weights out, but for the `locked` ones.

    Products are computed in `dtype`; weights that train and sums of gradients stay in float32.
    """
    policy = MixedPrecisionPolicy()
    if dtype is torch.bfloat16:
        policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    groups = [*stage.language_model.layers.values(), *([stage.visual] if stage.visual is not None else []), stage]
    for module in groups:
        fully_shard(module, mesh=grid.mesh["dp"], reshard_after_forward=False, mp_policy=policy, ignored_params=locked)
    for module in _shared_out(stage):
        module.set_gradient_divide_factor(1.0)  # the loss is a share of the step's mean already
        module.set_force_sum_reduction_for_comms(True)  # gloo has no other
        module.set_reduce_scatter_unused_params(True)  # a replica without pictures gives zeros


def gather_weights(stage: Stage) -> None:
    """Every replica has all weights of its stage, until the last micro-batch's backward."""
    for module in _shared_out(stage):
        module.unshard()


def accumulate(stage: Any) -> None:
    """Let backward passes add up gradients, until `reduce_gradients`."""
    stage.set_is_last_backward(False)
    stage.set_reshard_after_backward(False)
    stage.set_requires_gradient_sync(False)


def reduce_gradients(stage: Any) -> None:
    """Sum them over the replicas and share them out, as pipelining does where it knows of the sharing.

    Source: `_PipelineStageBase.perform_reduce_grad` of torch 2.13.
    """
    stage.set_is_last_backward(True)
    stage.set_reshard_after_backward(True)
    stage.set_requires_gradient_sync(True)
    shared = fully_shard.state(stage)  # type: ignore[attr-defined]
    for state in shared._state_ctx.all_states:
        for group in state._fsdp_param_groups:
            group.post_backward()
    shared._root_post_backward_final_callback()


def _shared_out(stage: Stage) -> list[FSDPModule]:
    return [module for module in stage.modules() if isinstance(module, FSDPModule)]
