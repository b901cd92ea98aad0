"""Activation-aware rounding: channels that matter are scaled up before they are rounded, and down again before.

A few inputs carry most of what a layer reads. Multiplying their weights by s and dividing what feeds them by s changes
nothing, but rounds them more finely. Source: AWQ, arXiv 2306.00978; here s is found by the error on recorded inputs.
"""

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from qwen2vl_agent.model.inputs import ModelInputs
from qwen2vl_agent.model.quantized import QuantKind, check_kernels, rounded

if TYPE_CHECKING:
    from qwen2vl_agent.model.qwen2vl import Qwen2VL

POWERS = (0.0, 0.25, 0.5, 0.75)
"""Of a channel's mean size, as its scale; 0 scales nothing."""
ROWS = 256
"""Recorded inputs of each layer, at most."""


@dataclass(slots=True)
class Fed:
    """Linear layers that read the same, and what feeds them."""

    source: Any
    """A norm, or the layer whose outputs are multiplied into what they read."""
    layers: list[nn.Linear]
    rows: list[Tensor] = field(default_factory=list)

    def note(self, x: Tensor) -> None:
        """Keep some rows of what is read."""
        flat = x.detach().flatten(0, -2)
        room = ROWS - sum(map(len, self.rows))
        if room > 0:
            self.rows.append(flat[:: max(1, len(flat) // room)][:room].float())


def scale_channels(model: "Qwen2VL", examples: Iterable[ModelInputs], kind: str) -> list[float]:
    """Scale the language model's channels for rounding to `kind`, in place; nothing else changes but rounding errors.

    Returns the power that served each group of layers best. All examples are read first.

    Raises:
        ConfigError: there is no such kind.
        ValueError: there are no examples.
    """
    wanted = check_kernels(kind)
    groups = [group for layer in model.language_model.layers for group in _groups(layer)]
    with ExitStack() as hooks, torch.inference_mode():
        for group in groups:
            handle = group.layers[0].register_forward_pre_hook(lambda _, args, group=group: group.note(args[0]))
            hooks.callback(handle.remove)
        for inputs in examples:
            model.hidden_states(inputs)
    if not groups[0].rows:
        raise ValueError("there are no examples to find scales by")
    return [_scale(group, wanted) for group in groups]


def _groups(layer: Any) -> list[Fed]:
    attention, mlp = layer.self_attn, layer.mlp
    return [
        Fed(layer.input_layernorm, [attention.q_proj, attention.k_proj, attention.v_proj]),
        Fed(layer.post_attention_layernorm, [mlp.gate_proj, mlp.up_proj]),
        Fed(mlp.up_proj, [mlp.down_proj]),
    ]


@torch.no_grad()
def _scale(group: Fed, kind: QuantKind) -> float:
    """Apply the best scale and return its power."""
    x_RI = torch.cat(group.rows)
    group.rows.clear()
    size_I = x_RI.abs().mean(0).clamp(min=1e-4)
    weights = [layer.weight.float() for layer in group.layers]
    errors = {power: _error(x_RI, weights, _scales(size_I, power), kind) for power in POWERS}
    best = min(POWERS, key=errors.__getitem__)
    scales_I = _scales(size_I, best)
    for layer, weight in zip(group.layers, weights, strict=True):
        layer.weight.copy_(weight * scales_I)
    divided = scales_I if group.source.weight.dim() == 1 else scales_I[:, None]
    group.source.weight.copy_(group.source.weight.float() / divided)
    return best


def _scales(size_I: Tensor, power: float) -> Tensor:
    """The sizes to that power, around 1."""
    scales = size_I**power
    return scales / (scales.amax() * scales.amin()).sqrt()


def _error(x_RI: Tensor, weights: list[Tensor], scales_I: Tensor, kind: QuantKind) -> float:
    """Squared error of what the layers give, their weights scaled and rounded."""
    total = 0.0
    for weight in weights:
        kept = rounded(weight * scales_I, kind).dequantised() / scales_I
        total += float((x_RI @ (kept - weight).T).square().sum())
    return total
