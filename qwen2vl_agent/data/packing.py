"""One packed row of several independent conversations: what a training step consumes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from qwen2vl_agent.data.gaze import Gaze, Gazes, joined
from qwen2vl_agent.model.inputs import ModelInputs
from qwen2vl_agent.model.inputs import pack as pack_inputs

IGNORED = -100
"""Label of a token that is not to be predicted. Source: torch's `cross_entropy(ignore_index=-100)`."""


@dataclass(frozen=True, slots=True)
class Row:
    """An encoded example."""

    inputs: ModelInputs
    """A single sequence."""
    labels: Tensor
    """[T] the token at each place where it is to be predicted, -100 elsewhere."""
    source: str
    weight: float = 1.0
    """What each of its targets counts in the loss."""
    looks: Tensor | None = None
    """[T] the place of the visual token that shows what is written here, or -1; None: told nowhere."""
    index: int = -1
    """Of the example in its source, so that it can be found again; -1: told nowhere."""
    gazes: Gazes | None = None
    """Where to look, by token of the row; None: not looked for."""

    @property
    def num_tokens(self) -> int:
        """Tokens in the language model's row, visual ones included."""
        return int(self.labels.shape[0])


@dataclass(frozen=True, slots=True)
class Targets:
    """The N tokens to predict, flat, so that a loss takes logits at these places only."""

    where: Tensor
    """[N] place in the row whose hidden state predicts the token: one before the token itself."""
    ids: Tensor
    """[N] the tokens."""
    weights: Tensor
    """[N] float32, what each counts."""
    source: Tensor
    """[N] number of the source in `Batch.sources`."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Examples packed in one row of tokens; attention stays within each (`inputs.segment_lengths`)."""

    inputs: ModelInputs
    labels: Tensor
    """[T] the token at each place where it is to be predicted, -100 elsewhere."""
    targets: Targets
    sources: tuple[str, ...]
    """Names of the sources that occur."""
    position: int = 0
    """The mixture's position after this batch: where a resumed run goes on."""
    looks: Tensor | None = None
    """[T] the place in the row of the visual token that shows what is written here, or -1; None: told nowhere."""
    examples: tuple[tuple[str, int], ...] = ()
    """Source and index of each example, in the order of the segments."""
    gazes: Gazes | None = None
    """Where to look, by token of the row; None: not looked for."""

    @property
    def num_tokens(self) -> int:
        """Tokens in the row, visual ones included."""
        return int(self.labels.shape[0])

    @property
    def num_examples(self) -> int:
        """Conversations in the row."""
        return len(self.inputs.segment_lengths or ())

    @property
    def num_patches(self) -> int:
        """Patches of all images and videos."""
        pixels = (self.inputs.pixel_values, self.inputs.pixel_values_videos)
        return sum(0 if values is None else len(values) for values in pixels)

    @property
    def weight(self) -> float:
        """What the batch counts in a step: the weights of its targets together."""
        return float(self.targets.weights.sum())

    def to(self, device: torch.device | str) -> "Batch":
        """The same on another device."""
        moved = {name: getattr(self.targets, name).to(device) for name in ("where", "ids", "weights", "source")}
        looks = None if self.looks is None else self.looks.to(device)
        inputs, labels = self.inputs.to(device), self.labels.to(device)
        gazes = None if self.gazes is None else {name: gaze.to(device) for name, gaze in self.gazes.items()}
        return replace(self, inputs=inputs, labels=labels, targets=Targets(**moved), looks=looks, gazes=gazes)


def pack(rows: Sequence[Row], position: int = 0) -> Batch:
    """The rows one after the other, as one batch. No token is lost, padded or added."""
    if not rows:
        raise ValueError("a batch needs at least one example")
    inputs = pack_inputs([row.inputs for row in rows])
    labels = torch.cat([row.labels for row in rows])
    sources = tuple(dict.fromkeys(row.source for row in rows))
    lengths = [row.num_tokens for row in rows]
    named = tuple((row.source, row.index) for row in rows)
    targets = _targets(rows, labels, lengths, sources)
    return Batch(inputs, labels, targets, sources, position, _looks(rows), named, _gazes(rows, lengths))


def _gazes(rows: Sequence[Row], lengths: list[int]) -> Gazes | None:
    """Those of all rows, as places in the packed one; None where one was not looked at."""
    found = [row.gazes for row in rows if row.gazes is not None]
    return joined(found, [0, *accumulate(lengths[:-1])]) if len(found) == len(rows) else None


def _looks(rows: Sequence[Row]) -> Tensor | None:
    """Those of all rows, as places in the packed one."""
    if all(row.looks is None for row in rows):
        return None
    start, parts = 0, []
    for row in rows:
        looks = torch.full_like(row.labels, -1) if row.looks is None else row.looks
        parts.append(torch.where(looks < 0, looks, looks + start))
        start += row.num_tokens
    return torch.cat(parts)


def _targets(rows: Sequence[Row], labels: Tensor, lengths: list[int], sources: tuple[str, ...]) -> Targets:
    """The targets of a row. Worked example: lengths 3, 2; labels - 7 8 | - 9 -> places 0 1 3 predict 7 8 9."""
    starts = torch.tensor([0, *lengths[:-1]]).cumsum(0)
    first = labels[starts] != IGNORED
    if bool(first.any()):
        raise ValueError("the first token of an example is marked as a target, but nothing comes before it")
    at = (labels != IGNORED).nonzero().squeeze(1)
    row_of = torch.repeat_interleave(torch.arange(len(rows)), torch.tensor(lengths))[at]
    numbers = torch.tensor([sources.index(row.source) for row in rows])
    weights = torch.tensor([row.weight for row in rows], dtype=torch.float32)
    return Targets(at - 1, labels[at], weights[row_of], numbers[row_of])


def to_wire(row: Row, pixel_dtype: torch.dtype) -> tuple[Any, ...]:
    """A row as plain arrays that travel through a pipe; pixels in `pixel_dtype` (bfloat16 as its bits)."""
    inputs = row.inputs
    values = (
        inputs.input_ids,
        inputs.position_ids,
        row.labels,
        inputs.image_grid_thw,
        inputs.video_grid_thw,
        row.looks,
    )
    small = tuple(None if value is None else value.to(torch.int32).numpy() for value in values)
    pixels = tuple(_bits(value, pixel_dtype) for value in (inputs.pixel_values, inputs.pixel_values_videos))
    gazes = None if row.gazes is None else {name: _numbers(gaze) for name, gaze in row.gazes.items()}
    return small, pixels, _bits(inputs.image_embeds, torch.bfloat16), row.source, row.weight, row.index, gazes


def from_wire(wire: tuple[Any, ...], pixel_dtype: torch.dtype) -> Row:
    """The row that `to_wire` took apart."""
    small, pixels, embeds, source, weight, index, looked = wire
    ids, positions, labels = (torch.from_numpy(value).long() for value in small[:3])
    image_grid, video_grid, looks = (None if value is None else torch.from_numpy(value).long() for value in small[3:])
    images, videos = (None if bits is None else torch.from_numpy(bits).view(pixel_dtype) for bits in pixels)
    made = None if embeds is None else torch.from_numpy(embeds).view(torch.bfloat16)
    inputs = ModelInputs(ids, positions, images, image_grid, made, videos, video_grid)
    gazes = None if looked is None else {name: Gaze(*map(_places, arrays)) for name, arrays in looked.items()}
    return Row(inputs, labels, source, weight, looks, index, gazes)


def _numbers(gaze: Gaze) -> tuple[Any, ...]:
    return tuple(values.to(torch.int32).numpy() for values in (gaze.queries, gaze.keys, gaze.counts))


def _places(numbers: Any) -> Tensor:
    return torch.from_numpy(numbers).long()


def _bits(pixels: Tensor | None, dtype: torch.dtype) -> Any:
    if pixels is None:
        return None
    pixels = pixels.to(dtype)
    return (pixels.view(torch.int16) if dtype is torch.bfloat16 else pixels).numpy()
