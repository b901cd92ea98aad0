"""The small parts that vision encoder and language model share: norms, feed-forward blocks, rotary embedding.

Shape letters: B batch, T tokens, N heads, H head dimension, F = H / 2 frequencies, D width.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qwen2vl_agent.model.linears import Linear, together
from qwen2vl_agent.model.native import pointwise


class RMSNorm(nn.Module):
    """`x / sqrt(mean(x^2) + eps) * weight`, the mean in float32. Source: arXiv 1910.07467."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        if pointwise.serves(x, self.weight):
            return pointwise.rms_norm(x, self.weight, self.eps)
        wide = x.float()
        wide = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)
        return self.weight * wide.to(x.dtype)


class SwiGLU(nn.Module):
    """The language model's feed-forward block: `down(silu(gate(x)) * up(x))`, no biases. Source: arXiv 2002.05202."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate_proj = Linear(width, hidden, bias=False)
        self.up_proj = Linear(width, hidden, bias=False)
        self.down_proj = Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(gated(*together(x, self.gate_proj, self.up_proj)))


def gated(gate: Tensor, up: Tensor) -> Tensor:
    """`silu(gate) * up`."""
    return pointwise.gated(gate, up) if pointwise.serves(gate, up) else F.silu(gate) * up


QUICK_GELU = 1.702
"""QuickGELU is `x * sigmoid(1.702 x)`. Source: CLIP's published code."""


class QuickGeluMLP(nn.Module):
    """The vision encoder's feed-forward block. QuickGELU is written as a scaled SiLU, which has a fused backward."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.fc1(x)
        if pointwise.serves(hidden) and hidden.is_contiguous():
            return self.fc2(pointwise.quick_gelu_(hidden))
        return self.fc2(F.silu(QUICK_GELU * hidden) / QUICK_GELU)


@dataclass(frozen=True, slots=True)
class Rotary:
    """Cosines and sines of every token's angles, `[B, T, 1, F]`, ready to turn queries and keys."""

    cos: Tensor
    sin: Tensor

    def rotate(self, x_BTNH: Tensor) -> Tensor:
        """Each head with its halves turned as pairs: (a, b) becomes (a cos - b sin, b cos + a sin).

        In the wider of the two types: with float32 tables the turned heads are float32 too, but for our own kernel,
        which computes in float32 and rounds to bfloat16 once.
        """
        if x_BTNH.requires_grad:
            return _Turn.apply(x_BTNH, self.cos, self.sin)
        if pointwise.serves(x_BTNH):
            angles = (table.reshape(-1, table.shape[-1]) for table in (self.cos, self.sin))
            return pointwise.turned(x_BTNH.flatten(0, 1), *angles).view(x_BTNH.shape)
        return _turned(x_BTNH, self.cos, self.sin, 1.0)

    def tokens(self, start: int, end: int) -> "Rotary":
        """The tables of the tokens `start` to `end`."""
        return Rotary(self.cos[:, start:end], self.sin[:, start:end])


class _Turn(torch.autograd.Function):
    """The rotation with its own backward, the rotation back: two passes over memory instead of ten."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        ctx.dtype = x.dtype
        return _turned(x, cos, sin, 1.0)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return _turned(gradient, cos, sin, -1.0).to(ctx.dtype), None, None


def _turned(x: Tensor, cos: Tensor, sin: Tensor, direction: float) -> Tensor:
    x = x.to(torch.promote_types(x.dtype, cos.dtype))
    a, b = x.chunk(2, dim=-1)
    out = torch.empty_like(x)
    first, second = out.chunk(2, dim=-1)
    torch.mul(a, cos, out=first)
    torch.mul(b, cos, out=second)
    first.addcmul_(b, sin, value=-direction)
    second.addcmul_(a, sin, value=direction)
    return out


def inverse_frequencies(count: int, theta: float, device: torch.device) -> Tensor:
    """`theta^(-i / count)` for i in 0 .. count - 1, float32. Source: RoFormer, arXiv 2104.09864."""
    return 1.0 / theta ** (torch.arange(count, dtype=torch.float32, device=device) / count)


def text_rotary(position_ids: Tensor, sections: tuple[int, ...], theta: float, dtype: torch.dtype) -> Rotary:
    """M-RoPE's tables for positions `[3, B, T]`.

    The first `sections[0]` frequencies take the temporal component, the next `sections[1]` the height, the rest the
    width: with [16, 24, 24] frequency 15 turns with time, 16 with height, 40 with width.

    Source: Qwen2-VL technical report §2.1.
    """
    device = position_ids.device
    component = torch.repeat_interleave(torch.arange(3), torch.tensor(sections)).to(device)
    angles_BTF = position_ids.permute(1, 2, 0).float()[..., component] * inverse_frequencies(
        len(component), theta, device
    )
    angles = angles_BTF.unsqueeze(2)
    return Rotary(angles.cos().to(dtype), angles.sin().to(dtype))


def vision_rotary(rows_T: Tensor, columns_T: Tensor, head_dim: int, theta: float = 10000.0) -> Rotary:
    """2D-RoPE's tables: the first half of a head's frequencies turn with the row, the second with the column.

    Source: Qwen2-VL technical report §2.1; theta from its published implementation.
    """
    frequencies = inverse_frequencies(head_dim // 4, theta, rows_T.device)
    angles_TF = torch.cat((rows_T[:, None] * frequencies, columns_T[:, None] * frequencies), dim=-1)
    angles = angles_TF[None, :, None]
    return Rotary(angles.cos(), angles.sin())
