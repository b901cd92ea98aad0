"""Turns a model's linear layers into quantised ones, and keeps such a model as a checkpoint.

The queries, keys and values of a layer become one product, and so do the two halves of its feed-forward block.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from qwen2vl_agent.model.layers import SwiGLU
from qwen2vl_agent.model.quantized import QuantizedLinear, QuantKind, Weights, check_kernels, joined, linear_of, rounded
from qwen2vl_agent.model.text import SelfAttention

if TYPE_CHECKING:
    from qwen2vl_agent.model.qwen2vl import Qwen2VL

PARTS = ("values", "scales", "zeros")
"""Tensors of `Weights`, as a checkpoint names them behind the layer's own name."""
SEEING = "visual."


def quantize(model: "Qwen2VL", kind: str, vision: bool = False) -> "Qwen2VL":
    """Replace the language model's linear layers, and the vision encoder's by 8-bit ones if asked; in place.

    Embedding, norms and patch embedding stay as they are. Weights are rounded one layer at a time.

    Raises:
        ConfigError: this machine has no kernel for it, or the model's widths do not suit it.
    """
    wanted = check_kernels(kind)
    linears = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    made: dict[str, tuple[Weights, Tensor | None]] = {}
    for name in quantized_names(model, vision):
        layer = linears[name]
        made[name] = (rounded(layer.weight, kind_of(name, wanted)), layer.bias)
        drop_weight(model, name)
    return assemble(model, made)


def quantized_names(model: "Qwen2VL", vision: bool) -> Iterator[str]:
    """Names of the linear layers that are quantised."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and (vision or not name.startswith(SEEING)):
            yield name


def kind_of(name: str, kind: QuantKind) -> QuantKind:
    """The vision encoder has many rows at a time, which 4 bits would only slow down."""
    return "int8" if name.startswith(SEEING) else kind


def drop_weight(model: "Qwen2VL", name: str) -> None:
    """Let go of a layer's weights; a head that is tied to the embedding only loses its own name for them."""
    layer = model.get_submodule(name)
    layer.weight = nn.Parameter(torch.empty(0), requires_grad=False)


def assemble(model: "Qwen2VL", made: dict[str, tuple[Weights, Tensor | None]]) -> "Qwen2VL":
    """Put quantised layers into a model; their weights are packed for the kernels, and `made` is emptied."""
    for name, module in list(model.named_modules()):
        parts = {part: made.pop(f"{name}.{part}") for part in _linear_children(module) if f"{name}.{part}" in made}
        if isinstance(module, SelfAttention) and parts:
            _set(
                model,
                name,
                QuantizedAttention(module, _one(parts, "q_proj", "k_proj", "v_proj"), _one(parts, "o_proj")),
            )
        elif isinstance(module, SwiGLU) and parts:
            _set(model, name, QuantizedSwiGLU(_one(parts, "gate_proj", "up_proj"), _one(parts, "down_proj")))
        else:
            for part in parts:
                setattr(module, part, _one(parts, part))
    if "lm_head" in made:
        model.lm_head = linear_of(*made.pop("lm_head"))  # type: ignore[assignment]
    assert not made, f"no place for {sorted(made)}"
    return model.eval().requires_grad_(False)


def _linear_children(module: nn.Module) -> list[str]:
    return [name for name, child in module.named_children() if isinstance(child, nn.Linear)]


def _one(parts: dict[str, tuple[Weights, Tensor | None]], *names: str) -> QuantizedLinear:
    """The layers of these names as one."""
    biases = [bias for name in names if (bias := parts[name][1]) is not None]
    return linear_of(joined([parts[name][0] for name in names]), torch.cat(biases) if biases else None)


def _set(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, module)


class QuantizedAttention(SelfAttention):
    """Self-attention with one product for queries, keys and values."""

    def __init__(self, attention: SelfAttention, qkv: QuantizedLinear, o: QuantizedLinear) -> None:
        nn.Module.__init__(self)
        self.head_dim = attention.head_dim
        self.qkv, self.o_proj = qkv, o  # type: ignore[assignment]
        kv_width = (qkv.out_features - o.in_features) // 2
        self.widths = (o.in_features, kv_width, kv_width)

    def projections(self, x_BTD: Tensor) -> tuple[Tensor, ...]:
        return self.qkv(x_BTD).split(self.widths, dim=-1)


class QuantizedSwiGLU(SwiGLU):
    """The feed-forward block with one product for its two halves."""

    def __init__(self, gate_up: QuantizedLinear, down: QuantizedLinear) -> None:
        nn.Module.__init__(self)
        self.gate_up, self.down_proj = gate_up, down  # type: ignore[assignment]

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        return self.down_proj(nn.functional.silu(gate) * up)
