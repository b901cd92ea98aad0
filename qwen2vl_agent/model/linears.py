"""Linear layers of the language model: a plain one that decodes fast on CPU."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Linear(nn.Linear):
    """`nn.Linear`; one row in half precision on CPU, as in decoding, takes the kernel that reads the weights fastest.

    oneDNN's product of one row reads them at half of the memory's speed, PyTorch's own at nearly all of it.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.numel() == self.in_features and _reads_weights(x):
            return row_product(x, self.weight, self.bias)
        return F.linear(x, self.weight, self.bias)


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
