"""Positions of M-RoPE: three numbers a token, for time, height and width."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

Grid = Tensor | Sequence[Sequence[int]] | None


class VisionTokens(Protocol):
    """The ids that stand for vision, and how many patches one of them covers per side (`Qwen2VLConfig` is one)."""

    @property
    def image_token_id(self) -> int: ...
    @property
    def video_token_id(self) -> int: ...
    @property
    def spatial_merge_size(self) -> int: ...


def mrope_positions(
    input_ids: Sequence[int] | Tensor, image_grid_thw: Grid, video_grid_thw: Grid, tokens: VisionTokens
) -> Tensor:
    """Positions `[3, T]` (int64) of one sequence without padding.

    Text advances all three components together. A vision item of t x h x w merged cells starting at p gives its cell
    (i, j, k) the position (p + i, p + j, p + k). Whatever follows starts at the greatest position so far, over all
    three components, plus one: after t=20, h=2, w=3 at p=4 the vision reaches 23 and the text goes on at 24.
    The time of a video is counted in merged frames and never scaled.

        ids        T  T  I  I  I  I  T         (image of 1 x 2 x 2 merged cells)
        temporal   0  1  2  2  2  2  4
        height     0  1  2  2  3  3  4
        width      0  1  2  3  2  3  4

    Raises:
        ValueError: the vision tokens and the grids do not agree.

    Source: Qwen2-VL technical report §2.1; `get_rope_index` of transformers 4.45.
    """
    ids = torch.as_tensor(input_ids, dtype=torch.int64).cpu()
    grids = {tokens.image_token_id: _grid_list(image_grid_thw), tokens.video_token_id: _grid_list(video_grid_thw)}
    used = dict.fromkeys(grids, 0)
    vision_at = ((ids == tokens.image_token_id) | (ids == tokens.video_token_id)).nonzero().flatten().tolist()
    pieces, next_position, done = [], 0, 0
    for start in vision_at:
        if start < done:
            continue
        pieces.append(_text_positions(start - done, next_position))
        next_position += start - done
        kind = int(ids[start])
        if used[kind] >= len(grids[kind]):
            raise ValueError(f"more vision tokens of id {kind} than the {len(grids[kind])} grids account for")
        t, h, w = grids[kind][used[kind]]
        used[kind] += 1
        h, w = h // tokens.spatial_merge_size, w // tokens.spatial_merge_size
        done = start + t * h * w
        if done > len(ids) or not bool((ids[start:done] == kind).all()):
            raise ValueError(f"a grid of {t}x{h}x{w} merged cells needs {t * h * w} tokens of id {kind} at {start}")
        pieces.append(torch.cartesian_prod(torch.arange(t), torch.arange(h), torch.arange(w)).T + next_position)
        next_position += max(t, h, w)
    if any(used[kind] != len(grids[kind]) for kind in grids):
        raise ValueError("more grids than vision tokens account for")
    pieces.append(_text_positions(len(ids) - done, next_position))
    return torch.cat(pieces, dim=1)


def _text_positions(count: int, first: int) -> Tensor:
    return torch.arange(first, first + count).expand(3, count)


def _grid_list(grid: Grid) -> list[list[int]]:
    if grid is None:
        return []
    return grid.tolist() if isinstance(grid, Tensor) else [list(map(int, row)) for row in grid]
