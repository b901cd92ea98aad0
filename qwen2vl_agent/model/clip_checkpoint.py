"""The vision tower of a CLIP checkpoint in open_clip's layout, as the weights of our vision encoder.

What has no place here goes: the class token, the absolute positions (2D-RoPE takes their part), `ln_pre`, which evened
out embeddings with positions in them, the projection to CLIP's common space, and the text tower. `ln_post` seeds the
norm of the merger, which reads the same states.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from qwen2vl_agent.model.config import VisionConfig
from qwen2vl_agent.schema.errors import CheckpointError

CONFIG_FILE = "open_clip_config.json"
HEAD_WIDTHS = {1280: 80, 1664: 104, 1408: 88}
"""Head width by the tower's width, of those that are not 64. Source: open_clip's model_configs, ViT-H, bigG and g."""
BLOCK = {
    "ln_1": "norm1",
    "ln_2": "norm2",
    "attn.in_proj_": "attn.qkv.",
    "attn.out_proj": "attn.proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
"""Names in a block of open_clip's tower and in a block of ours. Queries, keys and values come in the same order."""
DROPPED = ("class_embedding", "positional_embedding", "proj", "ln_pre.weight", "ln_pre.bias")


@dataclass(frozen=True, slots=True)
class VisionTower:
    """Weights of a vision encoder without its merger."""

    config: VisionConfig
    tensors: dict[str, Tensor]
    """By their names in `VisionEncoder`."""
    dropped: tuple[str, ...]
    """What the file had and the encoder has no place for."""
    quick_gelu: bool
    """Whether it was trained with QuickGELU, as far as the file beside it says."""


def read_tower(path: Path, num_heads: int | None = None) -> VisionTower:
    """The tower of a file; `num_heads` where neither its width nor `open_clip_config.json` beside it tells.

    Raises:
        CheckpointError: it cannot be read, or is no ViT with patches of 14 pixels in open_clip's layout.
    """
    found = _vision_tensors(path)
    config, described = _config(path, found, num_heads), _description(path)
    tensors = {"patch_embed.weight": inflate(found.pop("conv1.weight"), config.temporal_patch_size)}
    for name in ("weight", "bias"):
        tensors[f"merger.ln_q.{name}"] = _taken(path, found, f"ln_post.{name}")
    dropped = tuple(name for name in DROPPED if found.pop(name, None) is not None)
    for name, tensor in found.items():
        tensors[_block_name(path, name)] = tensor
    quick = described.get("quick_gelu", True) if described else True
    return VisionTower(config, tensors, dropped, bool(quick))


def inflate(weight: Tensor, frames: int) -> Tensor:
    """A 2D convolution's weight `[D, channels, rows, columns]` spread evenly over `frames` frames, as the second axis.

    Equal frames give what the 2D convolution gives. Source: QwenLM/Qwen3-VL, issue 2087.
    """
    return (weight / frames).unsqueeze(2).repeat(1, 1, frames, 1, 1)


def _config(path: Path, found: dict[str, Tensor], num_heads: int | None) -> VisionConfig:
    if "conv1.weight" not in found:
        raise CheckpointError(f"{path} has no visual.conv1.weight; expected a ViT of open_clip (DFN5B-CLIP-ViT-H-14)")
    width, channels, rows, columns = found["conv1.weight"].shape
    hidden = found.get("transformer.resblocks.0.mlp.c_fc.weight")
    numbers = {int(match[1]) for name in found if (match := re.match(r"transformer\.resblocks\.(\d+)\.", name))}
    if (channels, rows, columns) != (3, 14, 14) or hidden is None or hidden.shape[0] % width:
        raise CheckpointError(f"{path} is no ViT with patches of 14 x 14 pixels, which Qwen2-VL has")
    try:
        head_width = (_description(path).get("vision_cfg") or {}).get("head_width") or HEAD_WIDTHS.get(width, 64)
        heads = num_heads or width // head_width
        return VisionConfig(depth=len(numbers), embed_dim=width, num_heads=heads, mlp_ratio=hidden.shape[0] // width)
    except (ValueError, ZeroDivisionError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path}: {error}; give the number of heads with --vision-heads") from error


def _description(path: Path) -> dict[str, Any]:
    """`model_cfg` of the open_clip_config.json beside the file, where there is one."""
    beside = path.with_name(CONFIG_FILE)
    if not beside.is_file():
        return {}
    try:
        described = json.loads(beside.read_text("utf-8")).get("model_cfg") or {}
    except (ValueError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{beside} cannot be read: {error}") from error
    if not isinstance(described, dict):
        raise CheckpointError(f"{beside}: model_cfg is {type(described).__name__}; expected an object")
    return described


def _vision_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors whose names begin with `visual.`, without that."""
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; expected weights of a CLIP, .safetensors, .bin or .pt")
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                names = [name for name in file.keys() if name.startswith("visual.")]  # noqa: SIM118
                found = {name: file.get_tensor(name) for name in names}
        else:
            found = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
            found = found.get("state_dict", found)
    except Exception as error:  # torch raises whatever its unpickler meets in a damaged file
        told = str(error).strip().partition("\n")[0] or type(error).__name__
        raise CheckpointError(f"{path} cannot be read as weights: {told}") from error
    plain = {name.removeprefix("module."): tensor for name, tensor in found.items()}
    return {name.removeprefix("visual."): tensor for name, tensor in plain.items() if name.startswith("visual.")}


def _taken(path: Path, found: dict[str, Tensor], name: str) -> Tensor:
    if name not in found:
        raise CheckpointError(f"{path} lacks visual.{name}")
    return found.pop(name)


def _block_name(path: Path, name: str) -> str:
    """The name in our encoder. Worked example: transformer.resblocks.3.attn.in_proj_bias -> blocks.3.attn.qkv.bias."""
    match = re.fullmatch(r"transformer\.resblocks\.(\d+)\.(.+)", name)
    for theirs, ours in BLOCK.items():
        if match and match[2].startswith(theirs):
            return f"blocks.{match[1]}.{ours}{match[2][len(theirs) :]}"
    raise CheckpointError(f"{path} has visual.{name}, which a ViT of open_clip does not have; is it another model?")
