"""Random weights for training from nothing."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

INITIAL_STD = 0.02
"""Source: `initializer_range` of the published configs."""


@torch.no_grad()
def initialise(model: nn.Module, seed: int | None = None) -> None:
    """Fill every parameter: weights normal, biases 0, norms 1; reproducible for a seed.

    The projections that write to the residual stream are made smaller by sqrt(2 x layers) of their stack, so that its
    scale does not grow with depth (GPT-2, §2.3).
    """
    generator = torch.Generator()
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)
    depths = {
        prefix: len({name.split(".")[2] for name, _ in model.named_parameters() if name.startswith(prefix)})
        for prefix in ("visual.blocks.", "language_model.layers.")
    }
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1:
            parameter.fill_(0.0 if name.endswith("bias") else 1.0)
            continue
        std = INITIAL_STD
        if name.endswith(("o_proj.weight", "down_proj.weight", "attn.proj.weight", "mlp.fc2.weight")):
            std /= math.sqrt(2 * next(depth for prefix, depth in depths.items() if name.startswith(prefix)))
        parameter.copy_(torch.empty(parameter.shape).normal_(0.0, std, generator=generator))


@contextmanager
def shapes_only() -> Iterator[None]:
    """Modules made within have shapes and no values: they are on the device `meta`.

    torch's own initialisers would do nothing there, but import torch's compiler for it, which takes over a second.
    """
    with torch.device("meta"), _NoInitialisers():
        yield


class _NoInitialisers(TorchFunctionMode):
    """Passes over the functions of `torch.nn.init`, whose values nobody reads."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return None if getattr(func, "__module__", "") == nn.init.__name__ else func(*args, **(kwargs or {}))
