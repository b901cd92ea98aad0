"""Positions of M-RoPE: three numbers a token, for time, height and width."""

from collections.abc import Sequence

import torch
from torch import Tensor

from qwen2vl_agent.model.spans import Grid, VisionTokens, vision_spans


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
    pieces, next_position, done = [], 0, 0
    for span in vision_spans(input_ids, image_grid_thw, video_grid_thw, tokens):
        pieces.append(_text_positions(span.start - done, next_position))
        next_position += span.start - done
        cells = torch.cartesian_prod(*(torch.arange(count) for count in span.cells)).T
        pieces.append(cells + next_position)
        next_position += max(span.cells)
        done = span.end
    pieces.append(_text_positions(len(input_ids) - done, next_position))
    return torch.cat(pieces, dim=1)


def _text_positions(count: int, first: int) -> Tensor:
    return torch.arange(first, first + count).expand(3, count)
