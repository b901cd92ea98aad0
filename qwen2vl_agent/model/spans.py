"""Where the images and videos of a sequence lie: in its ids and in its patches."""

from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class VisionSpan:
    """One image or video of a sequence."""

    is_video: bool
    index: int
    """Which of the sequence's images (or of its videos) it is."""
    cells: tuple[int, int, int]
    """Merged frames, rows and columns: one token each."""
    start: int
    """Its first token; its last is `end - 1`."""
    end: int
    first_patch: int
    """Its first row in `pixel_values` (or `pixel_values_videos`); its last is `last_patch - 1`."""
    last_patch: int


def vision_spans(
    input_ids: Sequence[int] | Tensor, image_grid_thw: Grid, video_grid_thw: Grid, tokens: VisionTokens
) -> list[VisionSpan]:
    """The images and videos of one sequence, in the order of their tokens.

    Raises:
        ValueError: the vision tokens and the grids do not agree.
    """
    ids = torch.as_tensor(input_ids, dtype=torch.int64).cpu()
    grids = {tokens.image_token_id: _grid_list(image_grid_thw), tokens.video_token_id: _grid_list(video_grid_thw)}
    used, patches = dict.fromkeys(grids, 0), dict.fromkeys(grids, 0)
    spans: list[VisionSpan] = []
    for start in ((ids == tokens.image_token_id) | (ids == tokens.video_token_id)).nonzero().flatten().tolist():
        if spans and start < spans[-1].end:
            continue
        kind = int(ids[start])
        index = used[kind]
        if index == len(grids[kind]):
            raise ValueError(f"there are tokens of id {kind} for more than the {len(grids[kind])} grids given")
        t, h, w = grids[kind][index]
        cells = (t, h // tokens.spatial_merge_size, w // tokens.spatial_merge_size)
        end = start + cells[0] * cells[1] * cells[2]
        if end > len(ids) or not bool((ids[start:end] == kind).all()):
            raise ValueError(f"a grid of {t}x{h}x{w} patches needs {end - start} tokens of id {kind} from {start} on")
        last_patch = patches[kind] + t * h * w
        spans.append(VisionSpan(kind == tokens.video_token_id, index, cells, start, end, patches[kind], last_patch))
        used[kind], patches[kind] = index + 1, last_patch
    if any(used[kind] != len(grids[kind]) for kind in grids):
        raise ValueError(f"{sum(map(len, grids.values()))} grids are given, but there are tokens for {len(spans)}")
    return spans


def _grid_list(grid: Grid) -> list[list[int]]:
    if grid is None:
        return []
    return grid.tolist() if isinstance(grid, Tensor) else [list(map(int, row)) for row in grid]
