"""The network's configuration, as the published `config.json` files spell it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from qwen2vl_agent.schema.errors import CheckpointError

DTYPES = ("float32", "bfloat16", "float16")
Size = Literal["tiny", "2b", "7b", "72b"]


class SpecialIds(Protocol):
    """The special ids of a vocabulary that the network must know (`tokenizer.SpecialTokens` is one)."""

    @property
    def endoftext(self) -> int: ...
    @property
    def im_end(self) -> int: ...
    @property
    def vision_start(self) -> int: ...
    @property
    def vision_end(self) -> int: ...
    @property
    def vision_pad(self) -> int: ...
    @property
    def image_pad(self) -> int: ...
    @property
    def video_pad(self) -> int: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class VisionConfig:
    """The vision encoder and its merger."""

    depth: int = 32
    embed_dim: int = 1280
    num_heads: int = 16
    mlp_ratio: int = 4
    in_channels: int = 3
    patch_size: int = 14
    temporal_patch_size: int = 2
    spatial_merge_size: int = 2

    def __post_init__(self) -> None:
        if self.embed_dim % (4 * self.num_heads):
            raise ValueError(f"embed_dim {self.embed_dim} must be a multiple of 4 x num_heads {self.num_heads}")

    @property
    def head_dim(self) -> int:
        """Width of an attention head."""
        return self.embed_dim // self.num_heads

    @property
    def patch_values(self) -> int:
        """Numbers in a flattened patch: 1176 in every published size."""
        return self.in_channels * self.temporal_patch_size * self.patch_size**2


@dataclass(frozen=True, kw_only=True, slots=True)
class TextConfig:
    """The language model."""

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    intermediate_size: int
    rms_norm_eps: float = 1e-6
    rope_theta: float = 1_000_000.0
    mrope_section: tuple[int, ...] = (16, 24, 24)
    """Frequencies that turn with time, height and width; together half a head."""
    max_position_embeddings: int = 32768
    max_window_layers: int = 28
    """Kept for the file only: no published checkpoint uses sliding windows."""

    def __post_init__(self) -> None:
        if self.hidden_size % self.num_attention_heads or self.num_attention_heads % self.num_key_value_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size}, num_attention_heads {self.num_attention_heads} and "
                f"num_key_value_heads {self.num_key_value_heads} must each be a multiple of the next"
            )
        if len(self.mrope_section) != 3 or 2 * sum(self.mrope_section) != self.head_dim:
            raise ValueError(
                f"mrope_section {list(self.mrope_section)} must be three numbers that sum to half of "
                f"the head dimension {self.head_dim}"
            )

    @property
    def head_dim(self) -> int:
        """Width of an attention head."""
        return self.hidden_size // self.num_attention_heads


@dataclass(frozen=True, kw_only=True, slots=True)
class Qwen2VLConfig:
    """The whole network."""

    text: TextConfig
    vision: VisionConfig = field(default_factory=VisionConfig)
    tie_word_embeddings: bool = False
    image_token_id: int = 151655
    video_token_id: int = 151656
    vision_start_token_id: int = 151652
    vision_end_token_id: int = 151653
    vision_token_id: int = 151654
    """`<|vision_pad|>`."""
    bos_token_id: int = 151643
    pad_token_id: int = 151643
    eos_token_ids: tuple[int, ...] = (151645, 151643)
    """Ids that end generation: `<|im_end|>` and `<|endoftext|>`. Source: the published generation_config.json."""
    dtype: str = "bfloat16"
    """Type of the weights in the file."""

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise ValueError(f"dtype {self.dtype!r} is not one of {', '.join(DTYPES)}")

    @property
    def placeholders(self) -> tuple[int, int]:
        """Ids in whose places visual tokens stand; written by a model they would stand for nothing."""
        return self.image_token_id, self.video_token_id

    @property
    def spatial_merge_size(self) -> int:
        """Patches folded into one token, per side."""
        return self.vision.spatial_merge_size

    @property
    def parameters(self) -> int:
        """The weights of all products and of the embedding: the model's size, but for a percent or two."""
        text, vision = self.text, self.vision
        kv_width = text.num_key_value_heads * text.head_dim
        attention = 2 * text.hidden_size * (text.hidden_size + kv_width)
        layer = attention + 3 * text.hidden_size * text.intermediate_size
        block = (4 + 2 * vision.mlp_ratio) * vision.embed_dim**2
        words = text.vocab_size * text.hidden_size * (1 if self.tie_word_embeddings else 2)
        merged = vision.embed_dim * vision.spatial_merge_size**2
        seeing = vision.patch_values * vision.embed_dim + vision.depth * block + merged * (merged + text.hidden_size)
        return text.num_hidden_layers * layer + words + seeing

    def with_tokens(self, special: SpecialIds) -> "Qwen2VLConfig":
        """The same network for another vocabulary (give `tokenizer.special`)."""
        return replace(
            self,
            image_token_id=special.image_pad,
            video_token_id=special.video_pad,
            vision_start_token_id=special.vision_start,
            vision_end_token_id=special.vision_end,
            vision_token_id=special.vision_pad,
            bos_token_id=special.endoftext,
            pad_token_id=special.endoftext,
            eos_token_ids=(special.im_end, special.endoftext),
        )

    @classmethod
    def from_hf(cls, config: Mapping[str, Any], generation: Mapping[str, Any] | None = None) -> "Qwen2VLConfig":
        """The configuration that a `config.json` (and `generation_config.json`) states, in either spelling.

        Raises:
            CheckpointError: another kind of model, or a value that is missing or cannot be used.
        """
        from qwen2vl_agent.model.hf_config import read

        try:
            return read(config, generation or {})
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, ZeroDivisionError) as error:
            raise CheckpointError(f"the model's config.json cannot be used: {error!r}") from error

    def to_hf(self) -> dict[str, Any]:
        """The published spelling of `config.json`."""
        from qwen2vl_agent.model.hf_config import write

        return write(self)


def preset(size: Size) -> Qwen2VLConfig:
    """The configuration of a published size, or of the embedded tiny model.

    Raises:
        ValueError: there is no such size.

    Source: Qwen2-VL technical report §2.1 and the published checkpoints' `config.json`.
    """
    if size not in _PRESETS:
        raise ValueError(f"no preset {size!r}; expected one of {', '.join(_PRESETS)}")
    return _PRESETS[size]


def _published(vocab: int, width: int, layers: int, heads: int, kv_heads: int, mlp: int, tied: bool) -> Qwen2VLConfig:
    text = TextConfig(
        vocab_size=vocab,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        intermediate_size=mlp,
        max_window_layers=layers,
    )
    return Qwen2VLConfig(text=text, tie_word_embeddings=tied)


_PRESETS: dict[str, Qwen2VLConfig] = {
    "tiny": Qwen2VLConfig(
        text=TextConfig(
            vocab_size=512,
            hidden_size=256,
            num_hidden_layers=5,
            num_attention_heads=4,
            num_key_value_heads=2,
            intermediate_size=512,
            rope_theta=1_000_000.0,  # as published: slower pairs compare contents at any distance (docs/log.md)
            mrope_section=(8, 12, 12),
            max_window_layers=5,
        ),
        vision=VisionConfig(depth=4, embed_dim=192, num_heads=3),
        tie_word_embeddings=True,
        image_token_id=510,
        video_token_id=511,
        vision_start_token_id=507,
        vision_end_token_id=508,
        vision_token_id=509,
        bos_token_id=498,
        pad_token_id=498,
        eos_token_ids=(500, 498),
    ),
    "2b": _published(151936, 1536, 28, 12, 2, 8960, tied=True),
    "7b": _published(152064, 3584, 28, 28, 4, 18944, tied=False),
    "72b": _published(152064, 8192, 80, 64, 8, 29568, tied=False),
}
