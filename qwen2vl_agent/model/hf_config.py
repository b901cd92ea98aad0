"""Reading and writing `config.json`: the published spelling, and the nested one of newer `transformers`."""

from collections.abc import Mapping
from typing import Any

from qwen2vl_agent.model.config import Qwen2VLConfig, TextConfig, VisionConfig
from qwen2vl_agent.schema.errors import CheckpointError

MODEL_TYPE = "qwen2_vl"
ARCHITECTURE = "Qwen2VLForConditionalGeneration"
_TEXT_FIELDS = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "intermediate_size",
)
_VISION_FIELDS = ("depth", "embed_dim", "num_heads", "mlp_ratio", "patch_size", "temporal_patch_size",
                  "spatial_merge_size")  # fmt: skip

MOST = {"vocab_size": 2**24, "num_hidden_layers": 512, "depth": 512, "mlp_ratio": 64, "in_channels": 64,
        "patch_size": 128, "temporal_patch_size": 16, "spatial_merge_size": 16}  # fmt: skip
"""Largest sizes that are read, where it is not `WIDEST`: a network of more would fill the memory as it is laid out."""
WIDEST = 2**18


def read(config: Mapping[str, Any], generation: Mapping[str, Any]) -> Qwen2VLConfig:
    """The configuration that the files state; `KeyError` or `ValueError` where they cannot be used."""
    if config.get("model_type") != MODEL_TYPE:
        raise CheckpointError(f"the model's type is {config.get('model_type')!r}; expected {MODEL_TYPE!r}")
    nested = config.get("text_config") or {}
    text = {**config, **nested}
    _refuse_unsupported(text, config.get("vision_config") or {})
    tied = bool(config.get("tie_word_embeddings") or nested.get("tie_word_embeddings"))
    bos = text.get("bos_token_id")
    pad = next((x for x in (generation.get("pad_token_id"), text.get("pad_token_id"), bos) if x is not None), None)
    tokens: dict[str, Any] = {
        "image_token_id": config.get("image_token_id"),
        "video_token_id": config.get("video_token_id"),
        "vision_start_token_id": config.get("vision_start_token_id"),
        "vision_end_token_id": config.get("vision_end_token_id"),
        "vision_token_id": config.get("vision_token_id"),
        "bos_token_id": bos,
        "pad_token_id": pad,
        "eos_token_ids": _ending_ids(generation.get("eos_token_id") or text.get("eos_token_id"), bos),
        "dtype": config.get("dtype") or config.get("torch_dtype") or text.get("dtype"),
    }
    if wrong := [name for name, value in tokens.items() if name.endswith("_id") and not _is_id(value)]:
        raise ValueError(f"{wrong[0]} is {tokens[wrong[0]]!r}; expected a token's number")
    if not all(map(_is_id, tokens["eos_token_ids"] or ())):
        raise ValueError(f"eos_token_id is {tokens['eos_token_ids']!r}; expected tokens' numbers")
    return Qwen2VLConfig(
        text=_read_text(text),
        vision=_read_vision(config.get("vision_config") or {}),
        tie_word_embeddings=tied,
        **{name: value for name, value in tokens.items() if value is not None},
    )


def write(config: Qwen2VLConfig) -> dict[str, Any]:
    """The published spelling."""
    text, vision = config.text, config.vision
    return {
        "architectures": [ARCHITECTURE],
        "attention_dropout": 0.0,
        "bos_token_id": config.bos_token_id,
        "eos_token_id": config.eos_token_ids[0],
        "pad_token_id": config.pad_token_id,
        "vision_start_token_id": config.vision_start_token_id,
        "vision_end_token_id": config.vision_end_token_id,
        "vision_token_id": config.vision_token_id,
        "image_token_id": config.image_token_id,
        "video_token_id": config.video_token_id,
        "hidden_act": "silu",
        "hidden_size": text.hidden_size,
        "initializer_range": 0.02,
        "intermediate_size": text.intermediate_size,
        "max_position_embeddings": text.max_position_embeddings,
        "max_window_layers": text.max_window_layers,
        "model_type": MODEL_TYPE,
        "num_attention_heads": text.num_attention_heads,
        "num_hidden_layers": text.num_hidden_layers,
        "num_key_value_heads": text.num_key_value_heads,
        "rms_norm_eps": text.rms_norm_eps,
        "rope_theta": text.rope_theta,
        "sliding_window": text.max_position_embeddings,
        "tie_word_embeddings": config.tie_word_embeddings,
        "torch_dtype": config.dtype,
        "use_cache": True,
        "use_sliding_window": False,
        "vision_config": {
            "depth": vision.depth,
            "embed_dim": vision.embed_dim,
            "mlp_ratio": vision.mlp_ratio,
            "num_heads": vision.num_heads,
            "in_channels": vision.in_channels,
            "in_chans": vision.in_channels,
            "hidden_size": text.hidden_size,
            "patch_size": vision.patch_size,
            "spatial_merge_size": vision.spatial_merge_size,
            "spatial_patch_size": vision.patch_size,
            "temporal_patch_size": vision.temporal_patch_size,
        },
        "rope_scaling": {"type": "mrope", "mrope_section": list(text.mrope_section)},
        "vocab_size": text.vocab_size,
    }


def write_generation(config: Qwen2VLConfig) -> dict[str, Any]:
    """`generation_config.json`. Source of the sampling values: the published 2B and 7B instruct checkpoints."""
    return {
        "bos_token_id": config.bos_token_id,
        "pad_token_id": config.pad_token_id,
        "do_sample": True,
        "eos_token_id": list(config.eos_token_ids),
        "repetition_penalty": 1.0,
        "temperature": 0.01,
        "top_p": 0.001,
        "top_k": 1,
    }


def _ending_ids(eos: Any, bos: int | None) -> tuple[int, ...] | None:
    """A list is taken as it is; to a single id comes `<|endoftext|>`, which Qwen calls the first token of a text."""
    if isinstance(eos, list | tuple):
        return tuple(eos)
    return tuple(dict.fromkeys(x for x in (eos, bos) if x is not None)) or None


def _read_text(text: Mapping[str, Any]) -> TextConfig:
    rope = text.get("rope_parameters") or text.get("rope_scaling") or {}
    optional: dict[str, Any] = {
        "rms_norm_eps": text.get("rms_norm_eps"),
        "rope_theta": rope.get("rope_theta", text.get("rope_theta")),
        "max_position_embeddings": text.get("max_position_embeddings"),
        "max_window_layers": text.get("max_window_layers"),
        "mrope_section": tuple(rope["mrope_section"]) if "mrope_section" in rope else None,
    }
    for name in ("rms_norm_eps", "rope_theta"):
        if optional[name] is not None and not 0 < float(optional[name]) < float("inf"):
            raise ValueError(f"{name} is {optional[name]!r}; expected a number above 0")
    if not all(type(part) is int and part >= 0 for part in optional["mrope_section"] or ()):
        raise ValueError(f"mrope_section is {optional['mrope_section']!r}; expected whole numbers")
    required: dict[str, Any] = {name: _size(name, text[name]) for name in _TEXT_FIELDS}
    return TextConfig(**required, **{name: value for name, value in optional.items() if value is not None})


def _read_vision(vision: Mapping[str, Any]) -> VisionConfig:
    values = {name: vision[name] for name in _VISION_FIELDS if name in vision}
    channels = vision.get("in_channels", vision.get("in_chans"))
    if channels is not None:
        values["in_channels"] = channels
    return VisionConfig(**{name: _size(name, _single(name, value)) for name, value in values.items()})


def _size(name: str, value: Any) -> int:
    most = MOST.get(name, WIDEST)
    if value != int(value) or not 1 <= value <= most:
        raise ValueError(f"{name} is {value!r}; expected a whole number from 1 to {most}")
    return int(value)


def _is_id(value: Any) -> bool:
    return value is None or (type(value) is int and 0 <= value < 2**31)


def _single(name: str, value: Any) -> int:
    """Some writers give sides as lists of equal numbers."""
    if isinstance(value, list | tuple):
        if len(set(value)) != 1:
            raise ValueError(f"{name} {value!r} must be one number, or equal ones")
        value = value[0]
    return int(value)


def _refuse_unsupported(text: Mapping[str, Any], vision: Mapping[str, Any]) -> None:
    if text.get("use_sliding_window"):
        raise ValueError("sliding-window attention is not supported; set use_sliding_window to false")
    rope = text.get("rope_parameters") or text.get("rope_scaling") or {}
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind not in ("default", "mrope"):
        raise ValueError(f"rope type {kind!r} is not supported; expected mrope")
    for name, value, expected in (
        ("hidden_act", text.get("hidden_act", "silu"), "silu"),
        ("vision_config.hidden_act", vision.get("hidden_act", "quick_gelu"), "quick_gelu"),
    ):
        if value != expected:
            raise ValueError(f"{name} is {value!r}; expected {expected!r}")
