"""How many products a step takes, vision encoder included: what its speed and its devices are measured by."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from qwen2vl_agent.data.packing import Batch
from qwen2vl_agent.model.config import Qwen2VLConfig
from qwen2vl_agent.training.parallel.layout import head_weights, layer_weights, vision_weights
from qwen2vl_agent.training.stages import MERGER, VISION

LARGE = 1024
"""Side of the matrices whose product tells what a CPU can do; a GPU's are four times as large."""


@dataclass(frozen=True, slots=True)
class Passes:
    """Passes through the two parts' matrices that training takes: one forward, one for each kind of gradient."""

    vision: int
    language: int

    @classmethod
    def of(cls, trained: Sequence[str]) -> "Passes":
        """For the parameters that train, by name.

        What is locked needs no gradient of its weights, and none at all before the first part that trains.
        """
        inside = any(name.startswith(VISION) and not name.startswith(MERGER) for name in trained)
        visual = any(name.startswith(VISION) for name in trained)
        language = any(not name.startswith(VISION) and "lora" not in name for name in trained)
        return cls(3 if inside else 1, 3 if language else 2 if visual or trained else 1)


def step_flops(
    config: Qwen2VLConfig, passes: Passes, rows: Sequence[Batch], layers: int, vision: bool, head: bool
) -> float:
    """Floating point operations of the rows in a stage of `layers` layers, with or without vision encoder and head.

    Two for each weight and row, and for attention's two products over what may be seen; norms and activations count
    nothing, nor does what is computed again.
    """
    total = 0.0
    for row in rows:
        inputs = row.inputs
        sees = sum(length**2 / 2 for length in inputs.segment_lengths or (row.num_tokens,))
        per_layer = 2 * layer_weights(config) * row.num_tokens + 4 * config.text.hidden_size * sees
        total += passes.language * layers * per_layer
        if head:
            total += passes.language * 2 * head_weights(config) * len(row.targets.ids)
        if vision:
            total += passes.vision * _vision_flops(config, row)
    return total


def _vision_flops(config: Qwen2VLConfig, row: Batch) -> float:
    """Each frame pair attends within itself."""
    grids = [grid for grid in (row.inputs.image_grid_thw, row.inputs.video_grid_thw) if grid is not None]
    if not grids:
        return 0.0
    times, heights, widths = torch.cat(grids).double().unbind(1)
    patches = float((times * heights * widths).sum())
    sees = float((times * (heights * widths) ** 2).sum())
    return 2 * vision_weights(config) * patches + 4 * config.vision.depth * config.vision.embed_dim * sees


def measured_peak(device: torch.device, dtype: torch.dtype) -> float:
    """Floating point operations a second of a large matrix product on this process's device, the best of three."""
    side = LARGE * 4 if device.type == "cuda" else LARGE
    matrix = torch.randn(side, side, device=device).to(dtype)
    best = 0.0
    for _ in range(3):
        _synchronise(device)
        began = time.perf_counter()
        matrix @ matrix
        _synchronise(device)
        best = max(best, 2 * side**3 / (time.perf_counter() - began))
    return best


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
