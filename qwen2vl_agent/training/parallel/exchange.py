"""A step's packed rows on their way from the process that reads them to the others of its replica.

Once a step, before 1F1B begins, ids, positions, targets and the lengths of all micro-batches go to every stage;
patches, which are most of the bytes, only to the processes of the first.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.distributed as dist

from qwen2vl_agent.data.packing import Batch
from qwen2vl_agent.training.parallel.grid import Grid, rank_at

PIXELS = ("pixel_values", "image_embeds", "pixel_values_videos")


def share_rows(batches: Sequence[Batch] | None, grid: Grid) -> list[Batch]:
    """The rows of this replica's step. The process that `reads` brings them, padded; the others give None."""
    layout = grid.layout
    if batches is not None:
        batches = [padded(batch, layout.tp) for batch in batches]
    if layout.pp * layout.tp == 1:
        assert batches is not None
        return [batch.to(grid.device) for batch in batches]
    source = rank_at(layout, 0, grid.replica, 0)
    sent: list[Any] = [None]
    if batches is not None:
        sent = [[(_without_pixels(batch), _pixel_shapes(batch)) for batch in batches]]
    dist.broadcast_object_list(sent, src=source, group=grid.plane)
    rows = [batch for batch, _ in sent[0]]
    if grid.first and layout.tp > 1:
        group = grid.mesh["tp"].get_group()
        for index, (_, shapes) in enumerate(sent[0]):
            own = batches[index] if batches is not None else None
            rows[index] = _with_pixels(rows[index], own, shapes, source, group)
    elif batches is not None:
        rows = list(batches)
    return [row.to(grid.device) for row in rows]


def padded(batch: Batch, parts: int) -> Batch:
    """The row with a length that `parts` divides. What is added is a segment of its own that predicts nothing."""
    inputs = batch.inputs
    gap = -batch.num_tokens % parts
    if not gap:
        return batch
    ids = torch.nn.functional.pad(inputs.input_ids, (0, gap))
    positions = torch.nn.functional.pad(inputs.position_ids, (0, gap))
    lengths = (*(inputs.segment_lengths or (batch.num_tokens,)), gap)
    longer = replace(inputs, input_ids=ids, position_ids=positions, segment_lengths=lengths)
    return replace(batch, inputs=longer, labels=torch.nn.functional.pad(batch.labels, (0, gap), value=-100))


def _without_pixels(batch: Batch) -> Batch:
    nothing: dict[str, Any] = dict.fromkeys(PIXELS)
    return replace(batch, inputs=replace(batch.inputs, **nothing))


def _pixel_shapes(batch: Batch) -> dict[str, tuple[Any, ...]]:
    found = {name: getattr(batch.inputs, name) for name in PIXELS}
    return {name: (tuple(value.shape), value.dtype) for name, value in found.items() if value is not None}


def _with_pixels(batch: Batch, own: Batch | None, shapes: dict[str, tuple[Any, ...]], source: int, group: Any) -> Batch:
    filled: dict[str, Any] = {}
    for name, (shape, dtype) in shapes.items():
        value = torch.empty(shape, dtype=dtype) if own is None else getattr(own.inputs, name).contiguous()
        dist.broadcast(value, src=source, group=group)
        filled[name] = value
    return replace(batch, inputs=replace(batch.inputs, **filled))
