"""Initial weights for a small model that learns to see from nothing."""

import math

import torch
from torch import nn

COLOUR_FILTERS = 32
"""Patch filters that also see a patch's mean colour; the others see only what differs within the patch."""


@torch.no_grad()
def initialise_small(model: nn.Module, seed: int) -> None:
    """Scales each matrix to its width, and lets most patch filters ignore the background's colour.

    With 0.02 throughout, as large models have it, or with filters that see the mean colour, glyphs are a faint
    signal beside the paper they stand on, and reading stays at chance for hundreds of steps (`docs/log.md`).
    """
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1:
            parameter.fill_(0.0 if name.endswith("bias") else 1.0)
            continue
        std = 1 / math.sqrt(parameter[0].numel())
        if name.endswith(("o_proj.weight", "down_proj.weight", "attn.proj.weight", "mlp.fc2.weight")):
            std /= 2
        parameter.copy_(torch.empty(parameter.shape).normal_(0.0, std, generator=generator))
        if name.endswith("patch_embed.weight"):
            _ignore_background(parameter)


def _ignore_background(filters: torch.Tensor) -> None:
    """[filters, colours, frames, height, width]: zero mean over the patch, and mostly grey; frames alike."""
    filters.copy_(filters[:, :, :1].expand_as(filters))
    edges = filters[:-COLOUR_FILTERS]
    edges -= edges.mean(dim=(-1, -2), keepdim=True)
    grey = edges[: len(edges) * 3 // 4]
    grey.copy_(grey.mean(dim=1, keepdim=True).expand_as(grey) * math.sqrt(3))
    filters *= 1.5
