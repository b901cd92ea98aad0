"""A Qwen2-VL from a Qwen2 and the vision tower of a CLIP: where the original's training began (spec T5)."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tokenizers
import torch
from tokenizers import AddedToken
from torch import Tensor

from qwen2vl_agent.model.clip_checkpoint import read_tower
from qwen2vl_agent.model.config import Qwen2VLConfig, TextConfig
from qwen2vl_agent.model.hf_checkpoint import memory_name, read_tensors
from qwen2vl_agent.model.hub import checkpoint_folder
from qwen2vl_agent.model.initialise import initialise, shapes_only
from qwen2vl_agent.model.merger import Merger
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.model.tokenizer import FILES, SPECIAL_TEXTS, Tokenizer, broke_in_tokenizers
from qwen2vl_agent.schema.errors import CheckpointError

EMBEDDING, HEAD = "language_model.embed_tokens.weight", "lm_head.weight"
ROWS = 128
"""A vocabulary that must grow does so to a multiple of this, as the published ones are."""
NOISE = 0.1
"""Deviation of new tokens' rows, in deviations of the old ones: near the mean, but no two alike."""


@dataclass(frozen=True, slots=True)
class Assembled:
    """A new model and what it was made of."""

    model: Qwen2VL
    tokenizer: Tokenizer
    notes: tuple[str, ...]
    """What was dropped, seeded and drawn."""


def assemble(llm: str | Path, vision: Path, num_heads: int | None = None, seed: int = 0) -> Assembled:
    """The model of a Qwen2 folder (or hub id) and a file of a CLIP. Weights stay mapped where the files have them.

    Raises:
        CheckpointError: one of them is missing, damaged or of another kind.
    """
    folder = checkpoint_folder(llm, ("*.json", "*.safetensors", *FILES))
    tower, described = read_tower(vision, num_heads), _qwen2_config(folder)
    tokenizer, added = extended_tokenizer(folder)
    weights = {memory_name(name): tensor for name, tensor in read_tensors(folder).items()}
    tied = bool(described.get("tie_word_embeddings", False))
    if tied:
        weights.pop(HEAD, None)
    generator = torch.Generator().manual_seed(seed)
    for name in (EMBEDDING,) if tied else (EMBEDDING, HEAD):
        if name not in weights:
            raise CheckpointError(f"{folder}: the weights lack {name}")
        weights[name] = with_new_rows(weights[name], added, len(tokenizer), generator)
    text = _text_config(folder, described, len(weights[EMBEDDING]))
    plain = Qwen2VLConfig(text=text, vision=tower.config, tie_word_embeddings=tied)
    config = plain.with_tokens(tokenizer.special)
    weights |= {f"visual.{name}": tensor for name, tensor in tower.tensors.items()}
    weights |= _fresh_merger(config, seed)
    notes = [
        f"vision: {tower.config.depth} blocks of width {tower.config.embed_dim}, {tower.config.num_heads} heads; "
        f"the patch convolution inflated to {tower.config.temporal_patch_size} frames",
        f"left out of CLIP: {', '.join(tower.dropped)} (2D-RoPE takes the place of positions)",
        "merger: its norm is CLIP's ln_post, its layers are random",
        f"new tokens: {', '.join(added) or 'none'}; their rows stand near the mean of the others",
    ]
    if not tower.quick_gelu:
        notes.append("this CLIP was trained with GELU; Qwen2-VL has QuickGELU, and its first steps must make up for it")
    return Assembled(_loaded(config, weights, folder), tokenizer, tuple(notes))


def extended_tokenizer(folder: Path) -> tuple[Tokenizer, list[str]]:
    """A Qwen2's tokenizer with all the special tokens of Qwen2-VL, and those that it lacked.

    They are appended in the published order: with Qwen2's vocabulary they get the published ids, 151646 to 151656.

    Raises:
        CheckpointError: there is none, or it is damaged.
    """
    path = folder / "tokenizer.json"
    if not path.is_file():
        whole = Tokenizer.from_pretrained(folder)  # of vocab.json and merges.txt: it appends what is missing itself
        listed = _json(folder / "tokenizer_config.json").get("added_tokens_decoder", {})
        known = {token["content"] for token in listed.values()}
        return whole, [text for text in SPECIAL_TEXTS if text not in known]
    try:
        backend = tokenizers.Tokenizer.from_file(str(path))
    except BaseException as error:
        if not broke_in_tokenizers(error):
            raise
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    missing = [text for text in SPECIAL_TEXTS if backend.token_to_id(text) is None]
    backend.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in missing])
    return Tokenizer(backend), missing


def with_new_rows(rows_VD: Tensor, added: list[str], size: int, generator: torch.Generator) -> Tensor:
    """The rows of a vocabulary of `size` tokens, the last `len(added)` of which are new.

    A new row is the mean of the old ones, so that its token begins neither likely nor unlikely, and a little noise.
    Source: Hewitt 2021, Initializing New Word Embeddings for Pretrained Language Models.
    """
    if not added:
        return rows_VD
    old = rows_VD[: size - len(added)].float()
    mean, deviation = old.mean(0), old.std(0)
    height = len(rows_VD) if len(rows_VD) >= size else -(-size // ROWS) * ROWS
    made = rows_VD.new_zeros(height, rows_VD.shape[1])
    made[: len(rows_VD)] = rows_VD
    noise = torch.empty(height - len(old), rows_VD.shape[1]).normal_(0.0, NOISE, generator=generator)
    made[len(old) :] = (mean + deviation * noise).to(made.dtype)
    return made


def _qwen2_config(folder: Path) -> dict[str, Any]:
    described = _json(folder / "config.json")
    if described.get("model_type") != "qwen2":
        raise CheckpointError(
            f"{folder} is of type {described.get('model_type')!r}; expected a Qwen2 (model_type qwen2)"
        )
    if described.get("use_sliding_window") or (described.get("rope_scaling") or {}):
        raise CheckpointError(f"{folder} has sliding windows or scaled positions, which Qwen2-VL has not")
    return described


def _text_config(folder: Path, described: dict[str, Any], vocab_size: int) -> TextConfig:
    heads, hidden = int(described["num_attention_heads"]), int(described["hidden_size"])
    half = hidden // heads // 2
    section = (half // 4, half * 3 // 8, half * 3 // 8)  # 16, 24, 24 of the published 64 frequencies
    theta = described.get("rope_theta") or (described.get("rope_parameters") or {}).get("rope_theta", 1_000_000.0)
    try:
        return TextConfig(
            vocab_size=vocab_size,
            hidden_size=hidden,
            num_hidden_layers=int(described["num_hidden_layers"]),
            num_attention_heads=heads,
            num_key_value_heads=int(described["num_key_value_heads"]),
            intermediate_size=int(described["intermediate_size"]),
            rms_norm_eps=float(described.get("rms_norm_eps", 1e-6)),
            rope_theta=float(theta),
            mrope_section=section,
            max_position_embeddings=int(described.get("max_position_embeddings", 32768)),
            max_window_layers=int(described.get("max_window_layers", described["num_hidden_layers"])),
        )
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"{folder}: its config.json cannot be used: {error}") from error


def _fresh_merger(config: Qwen2VLConfig, seed: int) -> dict[str, Tensor]:
    """The merger's two layers, drawn; its norm is CLIP's."""
    merger = Merger(config.vision.embed_dim, config.spatial_merge_size**2, config.text.hidden_size)
    initialise(merger, seed)
    drawn = {name: tensor.detach() for name, tensor in merger.state_dict().items()}
    return {f"visual.merger.{name}": tensor for name, tensor in drawn.items() if not name.startswith("ln_q")}


def _loaded(config: Qwen2VLConfig, weights: dict[str, Tensor], folder: Path) -> Qwen2VL:
    with shapes_only():
        model = Qwen2VL(config)
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    if config.tie_word_embeddings:
        wanted.pop(HEAD)
    wrong = sorted(name for name, shape in wanted.items() if name not in weights or tuple(weights[name].shape) != shape)
    if wrong or (extra := sorted(set(weights) - set(wanted))):
        names = wrong or extra
        raise CheckpointError(f"{folder}: {names[0]} (and {len(names) - 1} more) is missing, or has no place or shape")
    model.load_state_dict(weights, assign=True, strict=False)
    model.tie_weights()
    return model


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    return content if isinstance(content, dict) else {}
