"""Linear layers with weights of 16, 8 or 4 bits on CPU: decoding reads the weights, so it is as fast as they are small.

fp16: multiplied in float32, for processors that have no instructions for bfloat16.
int8: a scale for each output; inputs are rounded to 8 bits too, a scale for each row, and multiplied as integers. On a
processor whose products of 8-bit integers overflow, weights keep 7 of their bits.
int4: a scale and a zero for each group of a row's inputs. Where a kernel for 4 bits is slow with many rows, they are
multiplied by the weights turned back into their type, a stretch of outputs at a time.

Shape letters: R rows, I inputs, O outputs, G groups of an output's inputs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from qwen2vl_agent.model import fbgemm
from qwen2vl_agent.model.fbgemm import HalfWeights
from qwen2vl_agent.model.int4_products import KEPT_BLOCK, MIDDLE, in_blocks, kernel_available, pack_int4
from qwen2vl_agent.model.int8_products import LARGEST, pack_int8
from qwen2vl_agent.schema.errors import ConfigError

QuantKind = Literal["fp16", "int8", "int4"]
KINDS: tuple[QuantKind, ...] = ("fp16", "int8", "int4")
GROUP_SIZES = (128, 64, 32)
"""Inputs that share a scale: the first of these that divides all inputs."""
TURNED_AT_ONCE = 512
"""Outputs whose weights are turned back at a time, to be multiplied before they leave the cache."""
LEVELS = {"int8": LARGEST, "int4": 15}


@dataclass(frozen=True, slots=True)
class Weights:
    """A linear layer's weights as they are kept, in the order of its rows."""

    values: Tensor
    """float16 or int8 `[O, I]`; or 4-bit pairs in uint8 `[O, I / 2]`, the first of a pair in the lower half."""
    scales: Tensor
    """float32 `[O]`; or bfloat16 `[O, G]`; ones for float16."""
    zeros: Tensor | None = None
    """bfloat16 `[O, G]` what the number `MIDDLE` means; of int4 only."""

    @property
    def kind(self) -> QuantKind:
        """How they are quantised."""
        return {torch.float16: "fp16", torch.int8: "int8", torch.uint8: "int4"}[self.values.dtype]  # type: ignore[return-value]

    def dequantised(self) -> Tensor:
        """`[O, I]` in float32."""
        if self.zeros is None:
            return self.values.float() * self.scales[:, None]
        numbers = unpaired(self.values).float().unflatten(1, (self.scales.shape[1], -1)) - MIDDLE
        return (numbers * self.scales.float()[..., None] + self.zeros.float()[..., None]).flatten(1)


def rounded(weight_OI: Tensor, kind: QuantKind) -> Weights:
    """Weights rounded to the nearest number.

    Raises:
        ConfigError: they cannot be cut into groups, or are too large for 16 bits.
    """
    if kind == "fp16":
        largest = weight_OI.detach().abs().amax()
        if largest > torch.finfo(torch.float16).max:
            raise ConfigError(f"a weight of {largest:.3g} has no form of 16 bits; use --dtype float32")
        return Weights(weight_OI.detach().half(), torch.ones(len(weight_OI)))
    weight = weight_OI.detach().float()
    if kind == "int8":
        scales = (weight.abs().amax(1) / LEVELS[kind]).clamp(min=torch.finfo(torch.float32).tiny)
        return Weights((weight / scales[:, None]).round().to(torch.int8), scales)
    groups = weight.unflatten(1, (-1, group_size(weight.shape[1])))
    low, high = groups.amin(-1), groups.amax(-1)
    scales = ((high - low) / LEVELS[kind]).clamp(min=1e-8).bfloat16()
    zeros = (low + MIDDLE * scales.float()).bfloat16()
    numbers = ((groups - zeros.float()[..., None]) / scales.float()[..., None]).round() + MIDDLE
    return Weights(paired(numbers.clamp(0, LEVELS[kind]).to(torch.uint8).flatten(1)), scales, zeros)


def group_size(inputs: int) -> int:
    """Inputs that share a scale.

    Raises:
        ConfigError: no size fits.
    """
    for size in GROUP_SIZES:
        if inputs % size == 0:
            return size
    raise ConfigError(f"a layer of {inputs} inputs has no 4-bit form: expected a multiple of {GROUP_SIZES[-1]}")


def joined(parts: Sequence[Weights]) -> Weights:
    """The layers' outputs one after the other: one product instead of several."""
    zeros = [part.zeros for part in parts if part.zeros is not None]
    return Weights(
        torch.cat([part.values for part in parts]),
        torch.cat([part.scales for part in parts]),
        torch.cat(zeros) if zeros else None,
    )


def paired(numbers_OI: Tensor) -> Tensor:
    """4-bit numbers in uint8, two in each: 3 and 10 become 10 * 16 + 3."""
    return numbers_OI[:, ::2] | (numbers_OI[:, 1::2] << 4)


def unpaired(pairs: Tensor) -> Tensor:
    """The numbers of `paired`."""
    return torch.stack((pairs & 15, pairs >> 4), dim=-1).flatten(1)


class QuantizedLinear(nn.Module):
    """A linear layer of either kind, on CPU and without gradients. Its integers and scales keep their types in `to`."""

    bias: Tensor | None

    def __init__(self, outputs: int, inputs: int, bias: Tensor | None) -> None:
        super().__init__()
        self.out_features, self.in_features = outputs, inputs
        self.register_buffer("bias", None if bias is None else bias.detach())

    def forward(self, x: Tensor) -> Tensor:
        out = self._product(x.reshape(-1, self.in_features))
        out = out if self.bias is None else out + self.bias
        return out.view(*x.shape[:-1], self.out_features)

    def kept(self) -> dict[str, Tensor]:
        """What a checkpoint keeps of it, by the names that the constructor takes; without the bias."""
        raise NotImplementedError

    def _product(self, x_RI: Tensor) -> Tensor:
        raise NotImplementedError


class Fp16Linear(QuantizedLinear):
    """Products in float32 with weights of 16 bits."""

    def __init__(self, values: Tensor, bias: Tensor | None = None) -> None:
        """float16 `[O, I]`."""
        super().__init__(len(values), values.shape[1], bias)
        self.packed = HalfWeights(values)

    def kept(self) -> dict[str, Tensor]:
        return {"values": self.packed.values()}

    def _product(self, x_RI: Tensor) -> Tensor:
        return self.packed(x_RI).to(x_RI.dtype)


class Int8Linear(QuantizedLinear):
    """Products of 8-bit integers."""

    def __init__(self, values: Tensor, scales: Tensor, bias: Tensor | None = None) -> None:
        """int8 `[O, I]`, float32 `[O]`."""
        super().__init__(len(values), values.shape[1], bias)
        self.packed, self.scales = pack_int8(values, scales)

    def kept(self) -> dict[str, Tensor]:
        return {"values": self.packed.values(), "scales": self.scales}

    def _product(self, x_RI: Tensor) -> Tensor:
        return self.packed(x_RI)


class Int4Linear(QuantizedLinear):
    """Few rows by a kernel for 4 bits, many by the weights turned back into the inputs' type."""

    def __init__(self, packed: Tensor, factors: Tensor, outputs: int, bias: Tensor | None = None) -> None:
        """`in_blocks` of `KEPT_BLOCK`, bfloat16 `[G, O, 2]` scale and zero; their O is a multiple of that block."""
        super().__init__(outputs, 2 * packed.shape[1], bias)
        self.packed = pack_int4(packed, factors)

    def kept(self) -> dict[str, Tensor]:
        return self.packed.kept()

    def _product(self, x_RI: Tensor) -> Tensor:
        if self.packed.pays(len(x_RI), x_RI.dtype):
            return self.packed(x_RI)[:, : self.out_features]
        filled_up = self.out_features + -self.out_features % KEPT_BLOCK
        edges = pairwise((*range(0, filled_up, TURNED_AT_ONCE), filled_up))
        outs = [x_RI @ self.packed.turned_back(slice(*part), x_RI.dtype) for part in edges]
        return torch.cat(outs, dim=1)[:, : self.out_features]


def linear_of(weights: Weights, bias: Tensor | None = None) -> QuantizedLinear:
    """The layer with these weights."""
    if weights.kind == "fp16":
        return Fp16Linear(weights.values, bias)
    if weights.zeros is None:
        return Int8Linear(weights.values, weights.scales, bias)
    spare = (0, 0, 0, -len(weights.values) % KEPT_BLOCK)
    numbers = nn.functional.pad(unpaired(weights.values), spare)
    factors_GO2 = torch.stack((weights.scales, weights.zeros), dim=-1).transpose(0, 1)
    factors_GO2 = nn.functional.pad(factors_GO2, spare).contiguous()
    return Int4Linear(in_blocks(numbers, KEPT_BLOCK), factors_GO2, len(weights.values), bias)


def check_kernels(kind: str) -> QuantKind:
    """`kind`, if this machine can run it.

    Raises:
        ConfigError: no such kind, or a PyTorch without the kernels.
    """
    if kind not in KINDS:
        raise ConfigError(f"there is no quantisation {kind!r}; expected one of {', '.join(KINDS)}")
    there = {
        "fp16": fbgemm.available,
        "int8": lambda: hasattr(torch.ops.onednn, "qlinear_pointwise"),
        "int4": kernel_available,
    }
    if not there[kind]():
        raise ConfigError(f"this build of PyTorch ({torch.__version__}) has no kernel for {kind} on CPU")
    return KINDS[KINDS.index(kind)]
