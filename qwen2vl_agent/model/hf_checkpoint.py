"""Checkpoints in the published layout: `config.json`, `generation_config.json` and safetensors, in one file or shards.

Names in the file are the published ones (`model.layers.0…`, `visual.merger.mlp.0…`, `lm_head.weight` where untied);
`published_name` and `memory_name` translate.
"""

import json
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from qwen2vl_agent.model import quantized_checkpoint
from qwen2vl_agent.model.config import DTYPES, Qwen2VLConfig
from qwen2vl_agent.model.hf_config import write_generation
from qwen2vl_agent.model.hub import checkpoint_folder
from qwen2vl_agent.model.initialise import shapes_only
from qwen2vl_agent.model.quantize import quantize
from qwen2vl_agent.schema.errors import CheckpointError, ConfigError

if TYPE_CHECKING:
    from qwen2vl_agent.model.qwen2vl import Qwen2VL

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
_FILE_NAME = re.compile(r"[\w\-][\w.\-]{0,199}", re.ASCII)
"""Of a shard in an index: a file of the same folder."""
_SHARD = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")
_TO_PUBLISHED = (
    ("language_model.", "model."),
    ("visual.patch_embed.weight", "visual.patch_embed.proj.weight"),
    ("visual.merger.fc1.", "visual.merger.mlp.0."),
    ("visual.merger.fc2.", "visual.merger.mlp.2."),
)
_OTHER_SPELLINGS = (("model.language_model.", "model."), ("model.visual.", "visual."))
"""How some versions of transformers name their tensors in memory, and a few checkpoints in the file."""


def published_name(name: str) -> str:
    """The name in the file of a parameter of `Qwen2VL`."""
    for ours, published in _TO_PUBLISHED:
        if name.startswith(ours):
            return published + name[len(ours) :]
    return name


def memory_name(name: str) -> str:
    """The parameter of `Qwen2VL` that a tensor of a file is for."""
    for other, published in _OTHER_SPELLINGS:
        if name.startswith(other):
            name = published + name[len(other) :]
    for ours, published in _TO_PUBLISHED:
        if name.startswith(published):
            return ours + name[len(published) :]
    return name


def load_model(
    name: str | Path, dtype: str | torch.dtype | None, kind: str | None = None, vision: bool = False
) -> "Qwen2VL":
    """The model of a checkpoint folder or hub id; `dtype` None keeps the file's. Files are memory-mapped.

    `kind` quantises it, and with `vision` the vision encoder too.

    Raises:
        CheckpointError: it is missing, incomplete, damaged, or does not fit the network its config describes.
        ConfigError: there are no kernels for that quantisation.
    """
    from qwen2vl_agent.model.qwen2vl import Qwen2VL

    wanted = None if dtype is None else torch_dtype(dtype)
    folder = checkpoint_folder(name, ("*.json", "*.safetensors"))
    config = load_config(folder)
    with shapes_only():
        model = Qwen2VL(config)
    if quantized := _read_json(folder / "config.json").get(quantized_checkpoint.SECTION):
        if kind is not None:
            raise ConfigError(f"{folder} is quantised already; leave out --quantize")
        how = quantized_checkpoint.read_section(quantized)
        return quantized_checkpoint.load(model, folder / SINGLE, wanted, *how)
    model.load_state_dict(_read_weights(folder, model, wanted), assign=True, strict=False)
    model.tie_weights()
    return model.requires_grad_(True) if kind is None else quantize(model, kind, vision)


def load_config(folder: Path) -> Qwen2VLConfig:
    """The configuration of a checkpoint folder.

    Raises:
        CheckpointError: there is none, or it cannot be used.
    """
    generation = folder / "generation_config.json"
    config = _read_json(folder / "config.json")
    return Qwen2VLConfig.from_hf(config, _read_json(generation) if generation.is_file() else None)


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """Every tensor of a checkpoint folder by its name in the files, whatever the model. Files are memory-mapped.

    Raises:
        CheckpointError: a file is missing or damaged.
    """
    found: dict[str, Tensor] = {}
    for path, listed in _files(folder).items():
        with _open(path) as file:
            names = set(file.keys())
            if listed is not None and not listed <= names:
                raise CheckpointError(f"{path} lacks {_some(listed - names)}, which {INDEX} says it has")
            found.update({name: _converted(file.get_tensor(name), None, name) for name in names})
    return found


def save_model(model: "Qwen2VL", folder: str | Path, dtype: str | torch.dtype | None, max_shard_size: int) -> None:
    """Write configuration and weights. Each file appears whole or not at all.

    Of a quantised model the quantised weights stay as they are, in one file.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    wanted = model.dtype if dtype is None else torch_dtype(dtype)
    config = replace(model.config, dtype=str(wanted).removeprefix("torch."))
    if quantized_checkpoint.is_quantised(model):
        quantized_checkpoint.save(model, folder / SINGLE, wanted)
        _write_configs(folder, config, quantized_checkpoint.section(model))
        _remove_old(folder, {SINGLE})
        return
    shards = _shards(model, wanted, max_shard_size)
    names = [SINGLE] if len(shards) == 1 else [_shard_name(i, len(shards)) for i in range(len(shards))]
    for name, shard in zip(names, shards, strict=True):
        tensors = {key: value.detach().to("cpu", wanted).contiguous() for key, value in shard.items()}
        save_file(tensors, folder / f"{name}.partial", metadata={"format": "pt"})
        os.replace(folder / f"{name}.partial", folder / name)
    if len(shards) > 1:
        total = sum(value.numel() * wanted.itemsize for shard in shards for value in shard.values())
        weight_map = {key: name for name, shard in zip(names, shards, strict=True) for key in shard}
        index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
        _write_json(folder / INDEX, index)
    _write_configs(folder, config, {})
    _remove_old(folder, {*names, INDEX} if len(shards) > 1 else set(names))


def write_configs(folder: Path, config: Qwen2VLConfig, dtype: str) -> None:
    """Write `config.json` and `generation_config.json` beside weights of type `dtype`."""
    _write_configs(folder, replace(config, dtype=dtype), {})


def _write_configs(folder: Path, config: Qwen2VLConfig, more: dict[str, Any]) -> None:
    _write_json(folder / "config.json", config.to_hf() | more)
    _write_json(folder / "generation_config.json", write_generation(config))


def torch_dtype(dtype: str | torch.dtype) -> torch.dtype:
    """The type of that name.

    Raises:
        ConfigError: weights cannot have it.
    """
    name = str(dtype).removeprefix("torch.")
    if name not in DTYPES:
        raise ConfigError(f"dtype {name!r} is not one that weights can have; expected one of {', '.join(DTYPES)}")
    return getattr(torch, name)


def _read_weights(folder: Path, model: "Qwen2VL", dtype: torch.dtype | None) -> dict[str, Tensor]:
    """Tensors by their name in memory, checked against the model before the first is read."""
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    with ExitStack() as stack:
        where = {}
        for path, listed in _files(folder).items():
            file = stack.enter_context(_open(path))
            keys = set(file.keys())
            if listed is not None and not listed <= keys:
                raise CheckpointError(f"{path} lacks {_some(listed - keys)}, which {INDEX} says it has")
            where.update({memory_name(key): (file, key) for key in keys if not key.endswith("rotary_emb.inv_freq")})
        tied = model.config.tie_word_embeddings
        _check(folder, expected, {name: tuple(f.get_slice(key).get_shape()) for name, (f, key) in where.items()}, tied)
        weights = {name: _converted(file.get_tensor(key), dtype, key) for name, (file, key) in where.items()}
    if tied and (head := weights.pop("lm_head.weight", None)) is not None:
        embedding = weights["language_model.embed_tokens.weight"]
        if not torch.equal(head, embedding):
            raise CheckpointError(f"{folder}: tie_word_embeddings is true, but lm_head.weight is not the embedding")
    return weights


def _check(
    folder: Path, expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]], tied: bool
) -> None:
    missing = set(expected) - set(found) - ({"lm_head.weight"} if tied else set())
    if missing:
        raise CheckpointError(f"{folder}: the weights lack {_some(map(published_name, missing))}")
    if unexpected := set(found) - set(expected):
        raise CheckpointError(f"{folder}: the weights hold {_some(unexpected)}, which the network has no place for")
    for name, shape in found.items():
        if shape != expected[name]:
            raise CheckpointError(
                f"{folder}: {published_name(name)} has the shape {list(shape)}; config.json asks for "
                f"{list(expected[name])}"
            )


def _files(folder: Path) -> dict[Path, set[str] | None]:
    """The files of weights, and which tensors the index says each has."""
    if (folder / SINGLE).is_file():
        return {folder / SINGLE: None}
    if not (folder / INDEX).is_file():
        raise CheckpointError(f"{folder} has neither {SINGLE} nor {INDEX}; is this a complete Qwen2-VL checkpoint?")
    weight_map = _read_json(folder / INDEX).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{folder / INDEX} has no weight_map")
    files: dict[Path, set[str] | None] = {}
    for name in sorted(set(map(str, weight_map.values()))):
        if not _FILE_NAME.fullmatch(name):
            raise CheckpointError(f"{folder / INDEX} names {name[:200]!r}; expected files of the same folder")
        if not (folder / name).is_file():
            raise CheckpointError(f"{folder} lacks the shard {name}; download or copy it again")
        files[folder / name] = {key for key, shard in weight_map.items() if shard == name}
    return files


def _open(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}); it may be cut short: copy it again") from error


def _converted(tensor: Tensor, dtype: torch.dtype | None, key: str) -> Tensor:
    if str(tensor.dtype).removeprefix("torch.") not in DTYPES:
        raise CheckpointError(f"{key} is stored as {tensor.dtype}; expected one of {', '.join(DTYPES)}")
    return tensor if dtype is None else tensor.to(dtype)


def _shards(model: "Qwen2VL", dtype: torch.dtype, max_shard_size: int) -> list[dict[str, Tensor]]:
    """Tensors by published name, in files of at most `max_shard_size` bytes (a larger tensor has its own)."""
    if max_shard_size <= 0:
        raise ValueError(f"max_shard_size is {max_shard_size}; expected a number of bytes above 0")
    shards: list[dict[str, Tensor]] = [{}]
    size = 0
    for name, tensor in model.named_parameters():  # a tied head is the embedding, and comes once
        added = tensor.numel() * dtype.itemsize
        if shards[-1] and size + added > max_shard_size:
            shards.append({})
            size = 0
        shards[-1][published_name(name)] = tensor
        size += added
    return shards


def _shard_name(index: int, count: int) -> str:
    return f"model-{index + 1:05d}-of-{count:05d}.safetensors"


def _remove_old(folder: Path, current: set[str]) -> None:
    """Weights of an earlier save would be read instead of, or beside, the new ones."""
    for path in folder.iterdir():
        if path.name not in current and (path.name in (SINGLE, INDEX) or _SHARD.fullmatch(path.name)):
            path.unlink()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds {type(content).__name__}; expected an object")
    return content


def _write_json(path: Path, content: dict[str, Any]) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    os.replace(partial, path)


def _some(names: Iterable[str]) -> str:
    ordered = sorted(names)
    return ", ".join(ordered[:3]) + (f" and {len(ordered) - 3} more" if len(ordered) > 3 else "")
