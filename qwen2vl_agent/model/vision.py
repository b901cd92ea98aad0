"""The vision encoder: patches of any number of images and videos to tokens of the language model.

Shape letters: P patches, D width, N heads, H head dimension. Patches come in the processor's order: frame by frame,
within a frame merge group by merge group (2 x 2 patches), row by row.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qwen2vl_agent.model.attention import attend
from qwen2vl_agent.model.config import VisionConfig
from qwen2vl_agent.model.layers import QuickGeluMLP, Rotary, vision_rotary
from qwen2vl_agent.model.masks import Visibility, make_segments
from qwen2vl_agent.model.merger import LAYER_NORM_EPS, Merger


class PatchEmbedding(nn.Module):
    """A 3D convolution whose kernel is one whole patch, computed as the matrix product that it is.

    The weight keeps the convolution's shape `[D, channels, frames, rows, columns]`. The product is also deterministic,
    which the convolution's kernels are not.
    """

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        side = config.patch_size
        self.weight = nn.Parameter(
            torch.empty(config.embed_dim, config.in_channels, config.temporal_patch_size, side, side)
        )

    def forward(self, pixels_PV: Tensor) -> Tensor:
        return F.linear(pixels_PV.to(self.weight.dtype), self.weight.flatten(1))


class VisionAttention(nn.Module):
    """Attention of the patches of one frame to each other; queries, keys and values from one projection."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x_PD: Tensor, rotary: Rotary, sees: Visibility) -> Tensor:
        qkv = self.qkv(x_PD).unflatten(-1, (3, self.num_heads, -1))
        turned, v = qkv.split((2, 1), dim=1)  # its backward is one copy, that of a slice fills zeros first
        q, k = rotary.rotate(turned.flatten(1, 2)[None]).chunk(2, dim=2)
        return self.proj(attend(q, k, v.squeeze(1)[None], sees)[0])


class VisionBlock(nn.Module):
    """A pre-norm transformer block."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.embed_dim, eps=LAYER_NORM_EPS)
        self.norm2 = nn.LayerNorm(config.embed_dim, eps=LAYER_NORM_EPS)
        self.attn = VisionAttention(config.embed_dim, config.num_heads)
        self.mlp = QuickGeluMLP(config.embed_dim, config.embed_dim * config.mlp_ratio)

    def forward(self, x_PD: Tensor, rotary: Rotary, sees: Visibility) -> Tensor:
        x_PD = x_PD + self.attn(self.norm1(x_PD), rotary, sees)
        return x_PD + self.mlp(self.norm2(x_PD))


class VisionEncoder(nn.Module):
    """Patch embedding, blocks and merger. Images of one call never see each other, nor do the frames of a video."""

    def __init__(self, config: VisionConfig, hidden_size: int) -> None:
        super().__init__()
        self.config = config
        self.patch_embed = PatchEmbedding(config)
        self.blocks = nn.ModuleList(VisionBlock(config) for _ in range(config.depth))
        self.merger = Merger(config.embed_dim, config.spatial_merge_size**2, hidden_size)

    def forward(self, pixels_PV: Tensor, grid_thw: Tensor) -> Tensor:
        """`[patches, 1176]` and `[items, 3]` to `[tokens, hidden_size]`.

        Raises:
            ValueError: the grids do not account for the patches.
        """
        return self.merger(self.patches(pixels_PV, grid_thw))

    def patches(self, pixels_PV: Tensor, grid_thw: Tensor) -> Tensor:
        """The blocks' output `[patches, embed_dim]`, before the merger.

        Raises:
            ValueError: the grids do not account for the patches.
        """
        grids = grid_thw.tolist()
        patches = sum(t * h * w for t, h, w in grids)
        if pixels_PV.shape != (patches, self.config.patch_values):
            raise ValueError(
                f"pixel values of shape {tuple(pixels_PV.shape)} do not fit grids of {patches} patches "
                f"with {self.config.patch_values} values each"
            )
        device = pixels_PV.device
        rows_P, columns_P = patch_places(grids, self.config.spatial_merge_size)
        rotary = vision_rotary(rows_P.to(device), columns_P.to(device), self.config.head_dim)
        frames = tuple(h * w for t, h, w in grids for _ in range(t))
        sees = Visibility(segments=make_segments(frames, False, device))
        x_PD = self.patch_embed(pixels_PV)
        for block in self.blocks:
            x_PD = block(x_PD, rotary, sees)
        return x_PD


def patch_places(grids: list[list[int]], merge: int) -> tuple[Tensor, Tensor]:
    """Row and column of every patch, in the processor's order.

    A frame of 2 x 4 patches: rows 0 0 1 1 0 0 1 1, columns 0 1 0 1 2 3 2 3.
    """
    places = []
    for t, h, w in grids:
        cells = torch.stack(torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij"))
        groups = cells.view(2, h // merge, merge, w // merge, merge).transpose(2, 3)
        places.append(groups.reshape(2, -1).repeat(1, t))
    rows, columns = torch.cat(places, dim=1).unbind(0)
    return rows, columns
