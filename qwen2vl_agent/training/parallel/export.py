"""A finished job's model in the published layout: safetensors that any process's part of any layout went into."""

import json
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch import Tensor
from torch.distributed.tensor import DTensor

from qwen2vl_agent.model.hf_checkpoint import INDEX, SINGLE, published_name, write_configs
from qwen2vl_agent.training.parallel.grid import Grid
from qwen2vl_agent.training.parallel.lora import THIN, is_thin
from qwen2vl_agent.training.parallel.stage import Stage, published
from qwen2vl_agent.training.parallel.step import EMBEDDING

SHARD_BYTES = 5 * 10**9


def export(stage: Stage, grid: Grid, folder: Path, dtype: torch.dtype = torch.bfloat16) -> None:
    """Write the whole model, thin matrices merged; a collective call.

    One process of each stage writes files of at most 5 GB.
    """
    folder.mkdir(parents=True, exist_ok=True)
    writes = grid.replica == 0 and grid.part == 0
    files: list[dict[str, int]] = []
    held: dict[str, Tensor] = {}
    named = dict(stage.named_parameters())
    for name in named:
        if is_thin(name):
            continue
        whole = merged(stage, name, named)
        again = name == EMBEDDING and not grid.first  # the tied head; the first stage writes it
        if not writes or again:
            continue
        tensor = whole.to("cpu", dtype).contiguous()
        if held and _bytes(held) + _bytes({name: tensor}) > SHARD_BYTES:
            files.append(_write(held, folder, grid.stage, len(files)))
            held = {}
        held[published_name(name)] = tensor
    if held:
        files.append(_write(held, folder, grid.stage, len(files)))
    everyone: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(everyone, (grid.stage, files))
    if grid.rank == 0:
        _name_files(folder, [(number, part) for number, part in sorted(everyone, key=lambda one: one[0]) if part])
        write_configs(folder, stage.config, str(dtype).removeprefix("torch."))
    dist.barrier()


def merged(stage: Stage, name: str, named: dict[str, Any]) -> Tensor:
    """The parameter with what thin matrices beside it add; a collective call among the processes of the stage."""
    whole = whole_tensor(name, named[name])
    owner = name.removesuffix(".weight")
    if f"{owner}.lora_a" not in named:
        return whole
    a, b = (whole_tensor(name, named[f"{owner}.{thin}"]) for thin in THIN)
    linear: Any = stage.get_submodule(owner)
    return whole + linear.lora_scale * (b @ a)


def whole_tensor(name: str, parameter: Any) -> Tensor:
    """The parameter as `Qwen2VL` has it; a collective call among the processes of the stage."""
    whole: Any = parameter.detach()
    if isinstance(whole, DTensor):
        whole = whole.full_tensor()
    return published(whole) if ".attn.qkv." in name else whole


def _write(tensors: dict[str, Tensor], folder: Path, stage: int, number: int) -> dict[str, int]:
    save_file(tensors, _draft(folder, stage, number), metadata={"format": "pt"})
    return {name: _bytes({name: tensor}) for name, tensor in tensors.items()}


def _draft(folder: Path, stage: int, number: int) -> Path:
    return folder / f"stage-{stage}-{number}.partial"


def _name_files(folder: Path, stages: list[tuple[int, list[dict[str, int]]]]) -> None:
    """Give the files the names that the published checkpoints' have, and write the index where there are several."""
    parts = [(stage, number, held) for stage, files in stages for number, held in enumerate(files)]
    weight_map: dict[str, str] = {}
    for place, (stage, number, held) in enumerate(parts, start=1):
        name = SINGLE if len(parts) == 1 else f"model-{place:05d}-of-{len(parts):05d}.safetensors"
        _draft(folder, stage, number).replace(folder / name)
        weight_map |= dict.fromkeys(held, name)
    if len(parts) > 1:
        total = sum(size for _, _, held in parts for size in held.values())
        index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
        (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n", "utf-8")


def _bytes(tensors: dict[str, Tensor]) -> int:
    return sum(tensor.numel() * tensor.itemsize for tensor in tensors.values())
