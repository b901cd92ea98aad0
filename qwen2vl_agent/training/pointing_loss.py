"""Teaches where to look while a place is written: an attention head must rest on the visual token of that place.

The digits alone teach it too slowly: their loss reaches the right one of 136 tokens only through a head that already
looks there. Source of the idea: pointer networks (Vinyals et al. 2015) and attention as the pointer of a screen agent
(GUI-Actor, Wu et al. 2025); here it is one of the decoder's own heads, so nothing is added to the model.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from qwen2vl_agent.data.packing import IGNORED, Batch
from qwen2vl_agent.model.layers import Rotary
from qwen2vl_agent.schema.geometry import MODEL_GRID
from qwen2vl_agent.training.loss import LossSums, target_loss

LAYER = 3
"""The decoder layer whose heads are taught, and how many of them: those of the first key and value head."""
HEADS = 2
SHARE = 0.5
"""What a nat of the attention counts beside a nat of the digits."""
SOURCE = "pointing attention"
_PLACE = re.compile(r'(?:"point": \[|<\|box_start\|>\()(\d{1,3}),\s?(\d{1,3})(?:\]|\))')


@dataclass(frozen=True, slots=True)
class Gaze:
    """Q queries that write the digits of a place, and where each is to look."""

    queries: Tensor
    """[Q] places in the row."""
    keys: Tensor
    """[Q, 4] places in the row of the visual tokens around the point."""
    weights: Tensor
    """[Q, 4] float32, how near each is; a row's sum is 1."""


class PointingLoss:
    """`target_loss`, and beside it the cross-entropy of the taught heads' attention at the places that are written.

    It reports what it adds as a source of its own, unweighted, for each query.
    """

    def __init__(self, decode: Callable[[list[int]], str], vocabulary: int) -> None:
        """`decode` gives the text of token ids; special tokens must be told by name."""
        self.texts = [decode([number]) for number in range(vocabulary)]
        """What each token says."""

    def __call__(self, model: Any, batch: Batch, chunk: int = 8192) -> LossSums:
        gaze = find_gaze(batch, self.texts, model.config.image_token_id)
        if gaze is None:
            return target_loss(model, batch, chunk)
        seen: list[tuple[Tensor, Rotary]] = []
        attention = model.language_model.layers[LAYER].self_attn
        hook = attention.register_forward_pre_hook(lambda _, args: seen.append((args[0], args[1])))
        try:
            sums = target_loss(model, batch, chunk)
        finally:
            hook.remove()
        losses_Q = attention_loss(attention, *seen[0], gaze, batch.inputs.segment_lengths or ())
        return LossSums(
            (*sums.sources, SOURCE),
            sums.total + SHARE * losses_Q.sum(),
            torch.cat([sums.by_source, losses_Q.detach().sum()[None]]),
            torch.cat([sums.counts, torch.tensor([len(losses_Q)], device=sums.counts.device)]),
        )


def attention_loss(attention: Any, x_BTD: Tensor, rotary: Rotary, gaze: Gaze, lengths: tuple[int, ...]) -> Tensor:
    """[Q] minus the logarithm of the attention that the right tokens get: weighted, and the mean of the heads."""
    x_TD, queries = x_BTD[0], gaze.queries
    turned = Rotary(rotary.cos[:, queries], rotary.sin[:, queries])
    width = attention.head_dim
    q_QNH = turned.rotate(attention.q_proj(x_TD[queries])[None].unflatten(-1, (-1, width)))[0, :, :HEADS]
    k_TH = rotary.rotate(attention.k_proj(x_TD)[None].unflatten(-1, (-1, width)))[0, :, 0]
    scores_QNT = (q_QNH.float() @ k_TH.float().T) * width**-0.5
    places = torch.arange(len(x_TD), device=x_TD.device)
    segment = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths)).to(x_TD.device)
    hidden_QT = (places > queries[:, None]) | (segment != segment[queries][:, None])
    log_QNT = scores_QNT.masked_fill(hidden_QT[:, None], float("-inf")).log_softmax(-1)
    right_QN4 = log_QNT.gather(2, gaze.keys[:, None].expand(-1, HEADS, -1))
    return -(right_QN4 * gaze.weights[:, None]).sum(-1).mean(-1)


def find_gaze(batch: Batch, texts: list[str], image_token: int) -> Gaze | None:
    """The places among the row's targets that belong to an image before them; None where there are none."""
    ids, grids = batch.inputs.input_ids.tolist(), batch.inputs.image_grid_thw
    if grids is None:
        return None
    images = _images(ids, image_token, [(int(h) // 2, int(w) // 2) for _, h, w in grids.tolist()])
    edges = [0, *accumulate(batch.inputs.segment_lengths or (len(ids),))]
    starts = [start for start, _, _ in images]
    queries: list[int] = []
    keys: list[list[int]] = []
    weights: list[list[float]] = []
    for first, last, x, y in _places(ids, batch.labels.tolist(), texts):
        number = bisect_right(starts, first) - 1
        if number < 0 or starts[number] < edges[bisect_right(edges, first) - 1]:
            continue
        start, rows, columns = images[number]
        around, near = _around(x, y, rows, columns)
        for place in range(first - 1, last):
            queries.append(place)
            keys.append([start + token for token in around])
            weights.append(near)
    if not queries:
        return None
    device = batch.labels.device
    return Gaze(
        torch.tensor(queries, device=device),
        torch.tensor(keys, device=device),
        torch.tensor(weights, dtype=torch.float32, device=device),
    )


def _images(ids: list[int], image_token: int, grids: list[tuple[int, int]]) -> list[tuple[int, int, int]]:
    """First token, rows and columns of tokens of every image of the row."""
    images, place = [], 0
    for rows, columns in grids:
        place = ids.index(image_token, place)
        images.append((place, rows, columns))
        place += rows * columns
    return images


def _places(ids: list[int], labels: list[int], texts: list[str]) -> Iterator[tuple[int, int, int, int]]:
    """First and last token of the digits of every place that is a target, and the place."""
    pieces = [texts[number] for number in ids]
    begins = [0, *accumulate(map(len, pieces))]
    for match in _PLACE.finditer("".join(pieces)):
        first, last = (bisect_right(begins, at) - 1 for at in (match.start(1), match.end(2) - 1))
        if labels[first] != IGNORED and labels[last] != IGNORED:
            yield first, last, int(match[1]), int(match[2])


def _around(x: int, y: int, rows: int, columns: int) -> tuple[list[int], list[float]]:
    """The four tokens whose middles surround a point, and bilinear weights; at an edge a token may come twice."""
    across, down = _between(x, columns), _between(y, rows)
    tokens = [row * columns + column for row, _ in down for column, _ in across]
    return tokens, [one * other for _, one in down for _, other in across]


def _between(value: int, count: int) -> tuple[tuple[int, float], tuple[int, float]]:
    """The two of `count` tokens beside each other whose middles enclose a coordinate, with their weights."""
    at = min(max((value + 0.5) * count / MODEL_GRID - 0.5, 0.0), count - 1.0)
    low = min(int(at), max(count - 2, 0))
    return (low, 1.0 - (at - low)), (min(low + 1, count - 1), at - low)
