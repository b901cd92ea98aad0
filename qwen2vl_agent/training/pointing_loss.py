"""Teaches where to look while a place is written: an attention head must rest on the visual token of that place.

The digits alone teach it too slowly: their loss reaches the right one of 136 tokens only through a head that already
looks there. Source of the idea: pointer networks (Vinyals et al. 2015) and attention as the pointer of a screen agent
(GUI-Actor, Wu et al. 2025); here it is one of the decoder's own heads, so nothing is added to the model.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from qwen2vl_agent.data.packing import IGNORED, Batch
from qwen2vl_agent.model.layers import Rotary
from qwen2vl_agent.schema.geometry import MODEL_GRID
from qwen2vl_agent.training.loss import LossSums, target_loss

HEADS = 2
"""Heads that share a key and value head: such a group is taught together."""
SHARE = 0.5
"""What a nat of the attention counts beside a nat of the digits."""
POINTING, READING = "pointing attention", "reading attention"
"""Sources under which the two groups of heads are reported."""
HEADS_OF = {POINTING: (3, 0), READING: (2, 1)}
"""Decoder layer and group of the heads that point, and of those that read.

Those that read come first: they find the token that goes on as the last few letters do, in words never seen too, and so
the pointing ones have candidates to choose from.
"""
NEAR = 0.8
"""From a point to the middles of the tokens that are looked at, in tokens: two of them where it lies between."""
MIDDLE = 15
"""How far from the middle of the width, in thousandths, a point is that of a row over all of it."""
_PLACE = re.compile(
    r'(?:(?P<here>" is here: tap (?:it\.|its ))\w*\.?\s)?'
    r'(?:\n?✿FUNCTION✿: tap\n✿ARGS✿: \{"point": \[|<\|box_start\|>\()(?P<x>\d{1,3}),\s?(?P<y>\d{1,3})(?:\]|\))'
)
_ABSENT = re.compile('" is not here')


@dataclass(frozen=True, slots=True)
class Gaze:
    """Q queries that write the digits of a place, and where each may look."""

    queries: Tensor
    """[Q] places in the row."""
    keys: Tensor
    """[Q, K] places in the row of the visual tokens that show what stands there, each query's last one repeated."""
    counts: Tensor
    """[Q] how many of the keys are no repetition."""


class PointingLoss:
    """`target_loss`, and beside it the cross-entropy of the taught heads' attention at the places that are written.

    It reports what it adds as a source of its own, unweighted, for each query.
    """

    def __init__(self, decode: Callable[[list[int]], str], vocabulary: int) -> None:
        """`decode` gives the text of token ids; special tokens must be told by name."""
        self.texts = [decode([number]) for number in range(vocabulary)]
        """What each token says."""

    def __call__(self, model: Any, batch: Batch, chunk: int = 8192) -> LossSums:
        gazes = {POINTING: find_gaze(batch, self.texts, model.config.image_token_id), READING: reading_gaze(batch)}
        layers = [layer.self_attn for layer in model.language_model.layers]
        seen: dict[str, tuple[Tensor, Rotary]] = {}
        with ExitStack() as hooks:
            for source, (layer, _) in HEADS_OF.items():
                hooks.enter_context(_watched(layers[layer], partial(seen.__setitem__, source)))
            sums = target_loss(model, batch, chunk)
        for source, (layer, group) in HEADS_OF.items():
            gaze = gazes[source]
            if gaze is not None:
                lengths = batch.inputs.segment_lengths or ()
                sums = _with(sums, source, attention_loss(layers[layer], *seen[source], gaze, lengths, group))
        return sums


@contextmanager
def _watched(attention: Any, keep: Callable[[tuple[Tensor, Rotary]], None]) -> Iterator[None]:
    """Hands the attention's own inputs to `keep` when it runs."""
    handle = attention.register_forward_pre_hook(lambda _, args: keep((args[0], args[1])))
    try:
        yield
    finally:
        handle.remove()


def _with(sums: LossSums, source: str, losses_Q: Tensor) -> LossSums:
    """The sums and, as a source of its own, what the attention costs."""
    return LossSums(
        (*sums.sources, source),
        sums.total + SHARE * losses_Q.sum(),
        torch.cat([sums.by_source, losses_Q.detach().sum()[None]]),
        torch.cat([sums.counts, torch.tensor([len(losses_Q)], device=sums.counts.device)]),
    )


def attention_loss(
    attention: Any, x_BTD: Tensor, rotary: Rotary, gaze: Gaze, lengths: tuple[int, ...], group: int = 0
) -> Tensor:
    """[Q] minus the logarithm of the attention that the right tokens get together, the mean of the group's heads."""
    x_TD, queries = x_BTD[0], gaze.queries
    turned = Rotary(rotary.cos[:, queries], rotary.sin[:, queries])
    width, heads = attention.head_dim, slice(group * HEADS, (group + 1) * HEADS)
    q_QNH = turned.rotate(attention.q_proj(x_TD[queries])[None].unflatten(-1, (-1, width)))[0, :, heads]
    k_TH = rotary.rotate(attention.k_proj(x_TD)[None].unflatten(-1, (-1, width)))[0, :, group]
    scores_QNT = (q_QNH.float() @ k_TH.float().T) * width**-0.5
    places = torch.arange(len(x_TD), device=x_TD.device)
    segment = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths)).to(x_TD.device)
    hidden_QT = (places > queries[:, None]) | (segment != segment[queries][:, None])
    log_QNT = scores_QNT.masked_fill(hidden_QT[:, None], float("-inf")).log_softmax(-1)
    right_QNK = log_QNT.gather(2, gaze.keys[:, None].expand(-1, HEADS, -1))
    repeated_QK = torch.arange(gaze.keys.shape[1], device=x_TD.device) >= gaze.counts[:, None]
    return -right_QNK.masked_fill(repeated_QK[:, None], float("-inf")).logsumexp(-1).mean(-1)


def reading_gaze(batch: Batch) -> Gaze | None:
    """The tokens of which it is told where they stand in the picture, given ones too; None where there are none."""
    if batch.looks is None:
        return None
    written = (batch.looks >= 0).nonzero().flatten()
    if not len(written):
        return None
    return Gaze(written - 1, batch.looks[written][:, None], torch.ones_like(written))


def find_gaze(batch: Batch, texts: list[str], image_token: int) -> Gaze | None:
    """Where to look while a place is written, and while it is decided whether there is one; None where neither is.

    What is not there is looked for in vain: then the head is to rest on the token before the picture.
    """
    ids, grids = batch.inputs.input_ids.tolist(), batch.inputs.image_grid_thw
    if grids is None:
        return None
    images = _images(ids, image_token, [(int(h) // 2, int(w) // 2) for _, h, w in grids.tolist()])
    edges = [0, *accumulate(batch.inputs.segment_lengths or (len(ids),))]
    starts = [start for start, _, _ in images]
    queries: list[int] = []
    keys: list[list[int]] = []
    for looked in _looked_for(ids, batch.labels.tolist(), texts):
        number = bisect_right(starts, looked.first) - 1
        if number < 0 or starts[number] < edges[bisect_right(edges, looked.first) - 1]:
            continue
        start, rows, columns = images[number]
        shown = _showing(*looked.place, rows, columns, looked.in_row) if looked.place else [-1]
        for query in range(looked.first - 1, looked.last):
            queries.append(query)
            keys.append([start + token for token in shown])
    if not queries:
        return None
    counts, longest = [len(tokens) for tokens in keys], max(map(len, keys))
    padded = [tokens + tokens[-1:] * (longest - len(tokens)) for tokens in keys]
    return Gaze(*(torch.tensor(values, device=batch.labels.device) for values in (queries, padded, counts)))


@dataclass(frozen=True, slots=True)
class _Looked:
    """Tokens `first` to `last` are written while something is looked for."""

    first: int
    last: int
    place: tuple[int, int] | None
    """On the model's grid; None: it is not there."""
    in_row: bool = False
    """Whether it may be anywhere on the height of the place."""


def _looked_for(ids: list[int], labels: list[int], texts: list[str]) -> Iterator[_Looked]:
    """What is looked for among the targets: digits of places, and the words before them that say it is there or not."""
    pieces = [texts[number] for number in ids]
    begins = [0, *accumulate(map(len, pieces))]
    whole = "".join(pieces)
    for match in _PLACE.finditer(whole):
        first, last = (bisect_right(begins, at) - 1 for at in (match.start("x"), match.end("y") - 1))
        if labels[first] != IGNORED and labels[last] != IGNORED:
            place = int(match["x"]), int(match["y"])
            yield _Looked(first, last, place)
            if match["here"]:
                said = bisect_right(begins, match.start("here")) - 1
                yield _Looked(said, said, place, in_row=match["here"].endswith("its "))
    for match in _ABSENT.finditer(whole):
        said = bisect_right(begins, match.start()) - 1
        if labels[said] != IGNORED:
            yield _Looked(said, said, None)


def _images(ids: list[int], image_token: int, grids: list[tuple[int, int]]) -> list[tuple[int, int, int]]:
    """First token, rows and columns of tokens of every image of the row."""
    images, place = [], 0
    for rows, columns in grids:
        place = ids.index(image_token, place)
        images.append((place, rows, columns))
        place += rows * columns
    return images


def _showing(x: int, y: int, rows: int, columns: int, in_row: bool) -> list[int]:
    """The tokens around a point; those of the whole width where it lies in the middle of it, or `in_row`.

    There it is a row of a list that is pointed at, and its words stand at the left.
    """
    wide = in_row or abs(2 * x + 1 - MODEL_GRID) <= 2 * MIDDLE
    across = list(range(columns)) if wide else _near(x, columns)
    return [row * columns + column for row in _near(y, rows) for column in across]


def _near(value: int, count: int) -> list[int]:
    """The one or two of `count` tokens beside each other that a coordinate lies in or close to."""
    at = (value + 0.5) * count / MODEL_GRID - 0.5
    return [token for token in range(count) if abs(token - at) <= NEAR]
