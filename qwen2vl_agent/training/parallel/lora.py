"""LoRA: the language model's matrices stay, and each learns a product of two thin ones beside it.

Put on the network before it is cut, so that it works in any layout; merged into the matrices on export.
Source: arXiv 2106.09685.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qwen2vl_agent.model.linears import Linear
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.training.config import TrainConfig
from qwen2vl_agent.training.parallel.activation_checkpoint import computed_again
from qwen2vl_agent.training.stages import trainable_names

THIN = ("lora_a", "lora_b")


class LoraLinear(Linear):
    """`x W' + bias + scale (x A') B'`, with A `[rank, in]` and B `[out, rank]`."""

    lora_scale: float
    lora_a: Tensor
    lora_b: Tensor

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias) + self.beside(x)

    def beside(self, x: Tensor) -> Tensor:
        """What the thin matrices add."""
        with computed_again():
            return self.lora_scale * F.linear(F.linear(x, self.lora_a), self.lora_b)


def add_lora(model: Qwen2VL, rank: int, alpha: float, seed: int = 0) -> None:
    """Put thin matrices beside all of the decoder layers' matrices. At first they add nothing, since B is zero.

    Raises:
        ConfigError: the rank is below 1.
    """
    if rank < 1:
        raise ConfigError(f"lora_rank is {rank}; expected at least 1")
    noise = torch.Generator().manual_seed(seed)
    for layer in model.language_model.layers:
        for linear in layer.modules():
            if isinstance(linear, Linear):
                _adapt(linear, rank, alpha / rank, noise)


def _adapt(linear: nn.Linear, rank: int, scale: float, noise: torch.Generator) -> None:
    a = torch.randn(rank, linear.in_features, generator=noise) / linear.in_features**0.5
    b, where = torch.zeros(linear.out_features, rank), linear.weight.device  # which is meta in a dry run
    linear.register_parameter("lora_a", nn.Parameter(a.to(where)))
    linear.register_parameter("lora_b", nn.Parameter(b.to(where)))
    linear.__class__ = LoraLinear
    linear.lora_scale = scale  # type: ignore[assignment]


def trained_names(model: Qwen2VL, config: TrainConfig) -> list[str]:
    """Names of the parameters that train: the thin matrices where there are any, else what the stage says.

    Raises:
        ConfigError: a prefix of `config` fits no parameter.
    """
    thin = [name for name, _ in model.named_parameters() if is_thin(name)]
    return thin or trainable_names(model, config)


def is_thin(name: str) -> bool:
    """Whether it is the name of a thin matrix."""
    return name.rsplit(".", 1)[-1] in THIN
