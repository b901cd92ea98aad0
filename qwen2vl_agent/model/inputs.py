"""What the network reads: ids, positions and patches of one sequence, of a padded batch, or of a packed row."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor


@dataclass(slots=True)
class ModelInputs:
    """Tensors of one sequence `[T]`, a left-padded batch `[B, T]`, or a packed row `[T]` of several sequences.

    Patches follow the order in which their images (or videos) appear, row after row of a batch.
    """

    input_ids: Tensor
    """`[T]` or `[B, T]`, int64."""
    position_ids: Tensor
    """`[3, T]` or `[3, B, T]`, int64: temporal, height and width component (`mrope.py`)."""
    pixel_values: Tensor | None = None
    """`[patches, 1176]` float32: channel, frame, row and column of each image patch, flattened."""
    image_grid_thw: Tensor | None = None
    """`[images, 3]`: frame pairs, rows and columns of each image, in patches."""
    image_embeds: Tensor | None = None
    """`[visual tokens, hidden_size]` what the vision encoder made of the images earlier, in place of `pixel_values`."""
    pixel_values_videos: Tensor | None = None
    video_grid_thw: Tensor | None = None
    attention_mask: Tensor | None = None
    """`[B, T]` bool, False on padding; only of padded batches."""
    segment_lengths: tuple[int, ...] | None = None
    """Lengths of the independent sequences of a packed row; only in training."""

    @property
    def batched(self) -> bool:
        """Whether the ids have a batch dimension."""
        return self.input_ids.dim() == 2

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "ModelInputs":
        """The same inputs on `device`; `dtype` is for the patches only."""
        moved: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, Tensor):
                moved[item.name] = value.to(device=device, dtype=dtype if value.is_floating_point() else None)
        return replace(self, **moved)


def pad_left(rows: Sequence[ModelInputs], pad_token_id: int) -> ModelInputs:
    """One left-padded batch of single sequences; positions of padding are 0 and nothing looks at it."""
    _check_single(rows)
    longest = max(row.input_ids.numel() for row in rows)
    ids, positions, masks = [], [], []
    for row in rows:
        gap = (longest - row.input_ids.numel(), 0)
        ids.append(torch.nn.functional.pad(row.input_ids, gap, value=pad_token_id))
        positions.append(torch.nn.functional.pad(row.position_ids, gap))
        masks.append(torch.nn.functional.pad(torch.ones_like(row.input_ids, dtype=torch.bool), gap))
    return ModelInputs(
        torch.stack(ids), torch.stack(positions, dim=1), attention_mask=torch.stack(masks), **_joined_vision(rows)
    )


def pack(rows: Sequence[ModelInputs]) -> ModelInputs:
    """One packed row of single sequences; each attends within itself and keeps its own positions."""
    _check_single(rows)
    return ModelInputs(
        torch.cat([row.input_ids for row in rows]),
        torch.cat([row.position_ids for row in rows], dim=1),
        segment_lengths=tuple(row.input_ids.numel() for row in rows),
        **_joined_vision(rows),
    )


def _check_single(rows: Sequence[ModelInputs]) -> None:
    if not rows or any(row.batched or row.segment_lengths for row in rows):
        raise ValueError("expected one or more single sequences, neither batches nor packed rows")


def _joined_vision(rows: Sequence[ModelInputs]) -> dict[str, Any]:
    joined: dict[str, Any] = {}
    for name in ("pixel_values", "image_embeds", "image_grid_thw", "pixel_values_videos", "video_grid_thw"):
        parts = [value for row in rows if (value := getattr(row, name)) is not None]
        joined[name] = torch.cat(parts) if parts else None
    return joined
