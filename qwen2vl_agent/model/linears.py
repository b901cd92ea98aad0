"""Linear layers of the language model: plain ones that decode fast on CPU."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qwen2vl_agent.model.native import rows


class Linear(nn.Linear):
    """`nn.Linear`; one row in half precision on CPU, as in decoding, takes the kernel that reads the weights fastest.

    oneDNN's product of one row reads them at half of the memory's speed, our own and PyTorch's at nearly all of it.
    """

    def forward(self, x: Tensor) -> Tensor:
        if rows.serve(x, [self]):
            return rows.products(x, [self])[0]
        if x.numel() == self.in_features and _reads_weights(x):
            return row_product(x, self.weight, self.bias)
        return F.linear(x, self.weight, self.bias)


def together(x: Tensor, *layers: nn.Linear) -> list[Tensor]:
    """What each layer gives for the same inputs; few rows in half precision on CPU are multiplied in one go.

    Not where more than a product is wanted of a layer: thin matrices beside it, hooks.
    """
    plain = all(type(layer) is Linear and not (layer._forward_hooks or layer._forward_pre_hooks) for layer in layers)
    return rows.products(x, layers) if plain and rows.serve(x, layers) else [layer(x) for layer in layers]


def row_product(x: Tensor, weight_OI: Tensor, bias: Tensor | None) -> Tensor:
    """`F.linear` of a single row `[..., I]`, without oneDNN."""
    enabled = torch._C._get_mkldnn_enabled()
    torch._C._set_mkldnn_enabled(False)
    try:
        out = torch.mv(weight_OI, x.flatten())
    finally:
        torch._C._set_mkldnn_enabled(enabled)
    return (out if bias is None else out + bias).view(*x.shape[:-1], -1)


def _reads_weights(x: Tensor) -> bool:
    return x.device.type == "cpu" and x.dtype == torch.bfloat16 and not torch.is_grad_enabled()
