"""The 2 x 2 merger: neighbouring patch features become one token of the language model."""

import torch.nn.functional as F
from torch import Tensor, nn

LAYER_NORM_EPS = 1e-6
"""Source: the published vision encoder."""


class Merger(nn.Module):
    """LayerNorm of each patch, then a two-layer MLP over the patches of a group, which lie side by side in the row."""

    def __init__(self, embed_dim: int, group: int, hidden_size: int) -> None:
        super().__init__()
        self.width = embed_dim * group
        self.ln_q = nn.LayerNorm(embed_dim, eps=LAYER_NORM_EPS)
        self.fc1 = nn.Linear(self.width, self.width)
        self.fc2 = nn.Linear(self.width, hidden_size)

    def forward(self, x_PD: Tensor) -> Tensor:
        """`[patches, embed_dim]` to `[patches / group, hidden_size]`."""
        return self.fc2(F.gelu(self.fc1(self.ln_q(x_PD).view(-1, self.width))))
