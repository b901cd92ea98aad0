"""Checkpoints from strangers: configurations, weights, indexes, tokenizers, and the files beside them."""

import json
import random
import shutil
from pathlib import Path
from typing import Any

from fuzz.mutate import TEXTS, some_bytes, some_json
from fuzz.target import Check, Make, Target
from qwen2vl_agent.schema.errors import CheckpointError, ConfigError

TOLD = (CheckpointError, ConfigError)


def saved(folder: Path, shards: bool = False) -> Path:
    """A valid checkpoint of a network of a few kilobytes, with its tokenizer and processor."""
    from qwen2vl_agent.model.config import Qwen2VLConfig, TextConfig, VisionConfig
    from qwen2vl_agent.model.hf_checkpoint import save_model
    from qwen2vl_agent.model.image_processor import ImageProcessor
    from qwen2vl_agent.model.qwen2vl import Qwen2VL
    from qwen2vl_agent.model.tokenizer import train_tokenizer

    tokenizer = train_tokenizer(["a few words"], 280)
    text = TextConfig(
        vocab_size=280, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1,
        intermediate_size=16, mrope_section=(1, 1, 2),
    )  # fmt: skip
    vision = VisionConfig(depth=1, embed_dim=16, num_heads=2)
    config = Qwen2VLConfig(text=text, vision=vision, dtype="float32").with_tokens(tokenizer.special)
    save_model(Qwen2VL(config), folder, None, 20_000 if shards else 2**40)
    tokenizer.save_pretrained(folder)
    ImageProcessor().save_pretrained(folder)
    return folder


def _config(folder: Path) -> tuple[Make, Check]:
    from qwen2vl_agent.model.config import Qwen2VLConfig, preset

    seeds = [preset("2b").to_hf(), json.loads((saved(folder) / "config.json").read_text())]
    generation = json.loads((folder / "generation_config.json").read_text())

    def make(rng: random.Random) -> Any:
        return some_json(rng, [rng.choice(seeds), generation], most=4)

    def check(value: Any) -> None:
        if isinstance(value, list) and len(value) == 2 and all(isinstance(part, dict) for part in value):
            Qwen2VLConfig.from_hf(*value)

    return make, check


def _damaged(folder: Path, shards: bool) -> tuple[Make, Check]:
    """A whole checkpoint with one file changed or gone."""
    import torch

    from qwen2vl_agent.model.hf_checkpoint import load_model

    place = saved(folder / "checkpoint", shards)
    names = [path.name for path in sorted(place.iterdir()) if "token" not in path.name and "processor" not in path.name]
    whole = {name: (place / name).read_bytes() for name in names}

    def make(rng: random.Random) -> tuple[str, bytes | None]:
        name = rng.choice(names)
        if name.endswith(".json") and rng.random() < 0.7:
            return name, json.dumps(some_json(rng, json.loads(whole[name]))).encode()
        return name, None if rng.random() < 0.02 else some_bytes(rng, whole[name], most=3)

    def check(case: tuple[str, bytes | None]) -> None:
        name, data = case
        (place / name).unlink()  # a new file: the old one may still be mapped
        if data is not None:
            (place / name).write_bytes(data)
        try:
            model = load_model(place, None)
            with torch.inference_mode():
                assert all(parameter.device.type == "cpu" for parameter in model.parameters())
        finally:
            (place / name).unlink(missing_ok=True)
            (place / name).write_bytes(whole[name])

    return make, check


def _index(folder: Path) -> tuple[Make, Check]:
    """An index that names files elsewhere."""
    from qwen2vl_agent.model.hf_checkpoint import INDEX, read_tensors

    place = saved(folder / "checkpoint", shards=True)
    shutil.copy(next(place.glob("model-*.safetensors")), folder / "outside.safetensors")
    seed = json.loads((place / INDEX).read_text())
    elsewhere = ("../outside.safetensors", str(folder / "outside.safetensors"), "..\\outside.safetensors", ".", "")

    def make(rng: random.Random) -> Any:
        value = some_json(rng, seed, most=1)
        if isinstance(value, dict) and isinstance(value.get("weight_map"), dict):
            value["weight_map"][rng.choice([*value["weight_map"], "x"])] = rng.choice((*elsewhere, *TEXTS))
        return value

    def check(value: Any) -> None:
        (place / INDEX).write_text(json.dumps(value))
        read_tensors(place)
        assert not any(name in str(value) for name in elsewhere[:3]), "a file of another folder was read"

    return make, check


def _tokenizer(folder: Path) -> tuple[Make, Check]:
    from qwen2vl_agent.model.tokenizer import Tokenizer

    place = saved(folder / "checkpoint")
    names = ["tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt"]
    whole = {name: (place / name).read_bytes() for name in names}

    def make(rng: random.Random) -> tuple[str, bytes]:
        name = rng.choice(names)
        if name.endswith(".json") and rng.random() < 0.6:
            return name, json.dumps(some_json(rng, json.loads(whole[name]))).encode()
        return name, some_bytes(rng, whole[name])

    def check(case: tuple[str, bytes]) -> None:
        name, data = case
        for other in names:  # without tokenizer.json the two older files are read
            (place / other).write_bytes(data if other == name else whole[other])
        if name in ("vocab.json", "merges.txt"):
            (place / "tokenizer.json").unlink()
        Tokenizer.from_pretrained(place)

    return make, check


def _processor(folder: Path) -> tuple[Make, Check]:
    from qwen2vl_agent.dialogue.processor import Processor
    from qwen2vl_agent.model.image_processor import CONFIG_FILE

    place = saved(folder / "checkpoint")
    seed = json.loads((place / CONFIG_FILE).read_text())

    def make(rng: random.Random) -> bytes:
        if rng.random() < 0.2:
            return some_bytes(rng, json.dumps(seed).encode())
        return json.dumps(some_json(rng, seed)).encode()

    def check(data: bytes) -> None:
        (place / CONFIG_FILE).write_bytes(data)
        Processor.from_pretrained(place)

    return make, check


def _tower(folder: Path) -> tuple[Make, Check]:
    """The vision tower of a CLIP checkpoint, as safetensors and as a pickle that must not run anything."""
    import torch
    from safetensors.torch import save_file

    from qwen2vl_agent.model.clip_checkpoint import read_tower

    tensors = {"visual.conv1.weight": torch.zeros(64, 3, 14, 14)}
    tensors |= {f"visual.ln_post.{name}": torch.zeros(64) for name in ("weight", "bias")}
    tensors |= {"visual.transformer.resblocks.0.mlp.c_fc.weight": torch.zeros(256, 64)}
    save_file(tensors, folder / "tower.safetensors")
    torch.save(tensors, folder / "tower.bin")
    beside = {"model_cfg": {"quick_gelu": True, "vision_cfg": {"head_width": 32}}}
    whole = {name: (folder / name).read_bytes() for name in ("tower.safetensors", "tower.bin")}
    whole["open_clip_config.json"] = json.dumps(beside).encode()

    def make(rng: random.Random) -> tuple[str, bytes]:
        name = rng.choice(list(whole))
        if name.endswith(".json"):
            return name, json.dumps(some_json(rng, beside)).encode()
        return name, some_bytes(rng, whole[name], most=3)

    def check(case: tuple[str, bytes]) -> None:
        for name, data in whole.items():
            (folder / name).unlink(missing_ok=True)
            (folder / name).write_bytes(case[1] if name == case[0] else data)
        read_tower(folder / (case[0] if case[0].startswith("tower") else "tower.safetensors"))

    return make, check


TARGETS = (
    Target("checkpoint.config", TOLD, _config),
    Target("checkpoint.one_file", TOLD, lambda folder: _damaged(folder, False)),
    Target("checkpoint.shards", TOLD, lambda folder: _damaged(folder, True)),
    Target("checkpoint.index", TOLD, _index),
    Target("checkpoint.tokenizer", TOLD, _tokenizer),
    Target("checkpoint.processor", TOLD, _processor),
    Target("checkpoint.clip", TOLD, _tower),
)
