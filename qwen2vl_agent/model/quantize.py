"""Turns a model's linear layers into quantised ones.

The queries, keys and values of a layer become one product, and so do the two halves of its feed-forward block.
"""

import contextlib
import ctypes
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from qwen2vl_agent.model.layers import SwiGLU, gated
from qwen2vl_agent.model.quantized import QuantizedLinear, QuantKind, check_kernels, joined, linear_of, rounded
from qwen2vl_agent.model.text import SelfAttention

if TYPE_CHECKING:
    from qwen2vl_agent.model.qwen2vl import Qwen2VL

Make = Callable[[str, Sequence[nn.Linear]], QuantizedLinear]
"""Makes the quantised layer of a name in place of one or more plain ones; it gives their outputs in turn."""
SEEING = "visual."


def quantize(model: "Qwen2VL", kind: str, vision: bool = False) -> "Qwen2VL":
    """Replace the language model's linear layers, and the vision encoder's (by 8-bit ones for int4) if asked; in place.

    Embedding, norms and patch embedding stay as they are. Weights are rounded to the nearest, one layer at a time.

    Raises:
        ConfigError: this machine has no kernel for it, or the model's widths do not suit it.
    """
    wanted = check_kernels(kind)

    def make(name: str, layers: Sequence[nn.Linear]) -> QuantizedLinear:
        weights = joined([rounded(layer.weight, kind_of(name, wanted)) for layer in layers])
        biases: list[Tensor] = [layer.bias for layer in layers if layer.bias is not None]
        return linear_of(weights, torch.cat(biases) if biases else None)

    return replace_linears(model, make, vision)


def kind_of(name: str, kind: QuantKind) -> QuantKind:
    """The vision encoder has many rows at a time, which 4 bits would only slow down."""
    return "int8" if name.startswith(SEEING) and kind == "int4" else kind


def replace_linears(model: "Qwen2VL", make: Make, vision: bool) -> "Qwen2VL":
    """Put the layers that `make` gives into the places of plain ones; what is replaced is let go at once."""
    for name, module in list(model.named_modules()):
        if name.startswith(SEEING):
            if vision and isinstance(module, nn.Linear):
                _set(model, name, make(name, [module]))
        elif isinstance(module, SelfAttention):
            _set(model, name, QuantizedAttention(name, module, make))
        elif isinstance(module, SwiGLU):
            _set(model, name, QuantizedSwiGLU(name, module, make))
            _give_memory_back()
    model.lm_head = make("lm_head", [model.lm_head])  # type: ignore[assignment]
    _give_memory_back()
    return model.eval().requires_grad_(False)


def _give_memory_back() -> None:
    """Return what was freed to the system: glibc keeps pieces of less than 32 MB, 4 GB of a 2B model in int8."""
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another system's library
        ctypes.CDLL(None).malloc_trim(0)


def _set(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, module)


class QuantizedAttention(SelfAttention):
    """Self-attention with one product for queries, keys and values."""

    def __init__(self, name: str, plain: SelfAttention, make: Make) -> None:
        nn.Module.__init__(self)
        self.head_dim = plain.head_dim
        self.widths = [layer.out_features for layer in (plain.q_proj, plain.k_proj, plain.v_proj)]
        self.qkv_proj = make(f"{name}.qkv_proj", (plain.q_proj, plain.k_proj, plain.v_proj))
        self.o_proj = make(f"{name}.o_proj", (plain.o_proj,))  # type: ignore[assignment]

    def projections(self, x_BTD: Tensor) -> Sequence[Tensor]:
        return self.qkv_proj(x_BTD).split(self.widths, dim=-1)


class QuantizedSwiGLU(SwiGLU):
    """The feed-forward block with one product for its two halves."""

    def __init__(self, name: str, plain: SwiGLU, make: Make) -> None:
        nn.Module.__init__(self)
        self.gate_up_proj = make(f"{name}.gate_up_proj", (plain.gate_proj, plain.up_proj))
        self.down_proj = make(f"{name}.down_proj", (plain.down_proj,))  # type: ignore[assignment]

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up_proj(x).chunk(2, dim=-1)
        return self.down_proj(gated(gate, up))
