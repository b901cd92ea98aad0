"""Where to look while a place or a text is written: what `training/pointing_loss.py` teaches attention heads.

It is read off the text alone, by the workers that encode examples.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Protocol

import torch
from torch import Tensor

from qwen2vl_agent.schema.geometry import MODEL_GRID

POINTING, READING = "pointing attention", "reading attention"
"""What is looked for: an element, and the letter that comes next."""
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

    def to(self, device: torch.device | str) -> "Gaze":
        """The same on another device."""
        return Gaze(self.queries.to(device), self.keys.to(device), self.counts.to(device))


Gazes = dict[str, Gaze]
"""`POINTING` and `READING`, where there is something to look at."""


class Written(Protocol):
    """A row of tokens, encoded: an example or several."""

    @property
    def inputs(self) -> Any: ...
    @property
    def labels(self) -> Tensor: ...
    @property
    def looks(self) -> Tensor | None: ...


class GazeFinder:
    """Finds both in a row; it travels to the workers."""

    def __init__(self, tokenizer: Any) -> None:
        """`tokenizer` tells special tokens by name."""
        self.texts = [tokenizer.decode([number]) for number in range(len(tokenizer))]
        """What each token says."""
        self._image_token = tokenizer.special.image_pad

    def __call__(self, row: Written) -> Gazes:
        found = {POINTING: find_gaze(row, self.texts, self._image_token), READING: reading_gaze(row)}
        return {name: gaze for name, gaze in found.items() if gaze is not None}


def joined(rows: Sequence[Gazes], starts: Sequence[int]) -> Gazes:
    """Those of several rows that begin at `starts` of a longer one."""
    made = {}
    for name in (POINTING, READING):
        parts = [(row[name], start) for row, start in zip(rows, starts, strict=True) if name in row]
        if parts:
            longest = max(gaze.keys.shape[1] for gaze, _ in parts)
            made[name] = Gaze(
                torch.cat([gaze.queries + start for gaze, start in parts]),
                torch.cat([_widened(gaze.keys, longest) + start for gaze, start in parts]),
                torch.cat([gaze.counts for gaze, _ in parts]),
            )
    return made


def _widened(keys_QK: Tensor, width: int) -> Tensor:
    """Each query's last key repeated up to `width`."""
    return torch.cat([keys_QK, keys_QK[:, -1:].expand(-1, width - keys_QK.shape[1])], 1)


def reading_gaze(row: Written) -> Gaze | None:
    """The tokens of which it is told where they stand in the picture, given ones too; None where there are none."""
    if row.looks is None:
        return None
    written = (row.looks >= 0).nonzero().flatten()
    if not len(written):
        return None
    return Gaze(written - 1, row.looks[written][:, None], torch.ones_like(written))


def find_gaze(row: Written, texts: list[str], image_token: int) -> Gaze | None:
    """Where to look while a place is written, and while it is decided whether there is one; None where neither is.

    What is not there is looked for in vain: then the head is to rest on the token before the picture.
    """
    ids, grids = row.inputs.input_ids.tolist(), row.inputs.image_grid_thw
    if grids is None:
        return None
    images = _images(ids, image_token, [(int(h) // 2, int(w) // 2) for _, h, w in grids.tolist()])
    edges = [0, *accumulate(row.inputs.segment_lengths or (len(ids),))]
    starts = [start for start, _, _ in images]
    queries: list[int] = []
    keys: list[list[int]] = []
    for looked in _looked_for(ids, row.labels.tolist(), texts):
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
    return Gaze(*(torch.tensor(values, device=row.labels.device) for values in (queries, padded, counts)))


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
        if labels[first] >= 0 and labels[last] >= 0:
            place = int(match["x"]), int(match["y"])
            yield _Looked(first, last, place)
            if match["here"]:
                said = bisect_right(begins, match.start("here")) - 1
                yield _Looked(said, said, place, in_row=match["here"].endswith("its "))
    for match in _ABSENT.finditer(whole):
        said = bisect_right(begins, match.start()) - 1
        if labels[said] >= 0:
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
