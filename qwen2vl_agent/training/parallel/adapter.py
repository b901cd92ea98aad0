"""Thin matrices as a `peft` adapter: what `PeftModel.from_pretrained(base, folder)` loads, from any layout."""

import json
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch import Tensor

from qwen2vl_agent.training.parallel.export import whole_tensor
from qwen2vl_agent.training.parallel.grid import Grid
from qwen2vl_agent.training.parallel.lora import THIN, is_thin
from qwen2vl_agent.training.parallel.stage import Stage

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
TARGETS = r"model\.language_model\.layers\.\d+\.(self_attn|mlp)\.(q|k|v|o|gate|up|down)_proj"
"""Modules of transformers' Qwen2VLForConditionalGeneration that have thin matrices: not the vision encoder's."""
PREFIX = "base_model.model.model."
"""Before our names. Source: peft 0.21's `get_peft_model_state_dict`, transformers 5's module names."""
KINDS = dict(zip(THIN, ("lora_A.weight", "lora_B.weight"), strict=True))


def export_adapter(stage: Stage, grid: Grid, folder: Path, base_model: str = "") -> bool:
    """Write the adapter, in float32; False where there are no thin matrices. A collective call.

    `base_model` is what it was trained beside, for peft to name.
    """
    own = {
        peft_name(name): whole_tensor(name, parameter).cpu().contiguous()
        for name, parameter in stage.named_parameters()
        if is_thin(name)
    }
    everyone: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(everyone, (own if grid.replica == 0 and grid.part == 0 else {}, _scale(stage)))
    tensors: dict[str, Tensor] = {name: tensor for part, _ in everyone for name, tensor in part.items()}
    if grid.rank == 0 and tensors:
        folder.mkdir(parents=True, exist_ok=True)
        scale = next(scale for _, scale in everyone if scale)
        rank = next(len(tensor) for name, tensor in tensors.items() if name.endswith(KINDS[THIN[0]]))
        save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
        told = json.dumps(adapter_config(rank, scale * rank, base_model), indent=2)
        (folder / CONFIG).write_text(told + "\n", "utf-8")
    return bool(tensors)


def peft_name(name: str) -> str:
    """`language_model.layers.0.mlp.up_proj.lora_a` as peft names it."""
    owner, _, kind = name.rpartition(".")
    return f"{PREFIX}{owner}.{KINDS[kind]}"


def adapter_config(rank: int, alpha: float, base_model: str) -> dict[str, Any]:
    """What peft's LoraConfig is read from."""
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base_model or None,
        "r": rank,
        "lora_alpha": round(alpha, 6),
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": TARGETS,
        "inference_mode": True,
    }


@torch.no_grad()
def _scale(stage: Stage) -> float:
    """What the products are multiplied by; 0 where this stage has none."""
    modules: Any = stage.modules()
    return next((float(module.lora_scale) for module in modules if hasattr(module, "lora_scale")), 0.0)
