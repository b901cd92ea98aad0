"""How a job's processes are laid out, and whether a network can be cut that way."""

from dataclasses import dataclass
from itertools import pairwise

from qwen2vl_agent.model.config import Qwen2VLConfig
from qwen2vl_agent.schema.errors import ConfigError

PATCHES_PER_TOKEN = 2.0
"""Patches that the vision encoder reads for each token of the language model, if half of the tokens are visual."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """Data x pipeline x tensor parallel. Ranks run fastest over tp, then dp, then pp."""

    dp: int = 1
    pp: int = 1
    tp: int = 1
    first_layers: int | None = None
    """Decoder layers of the first stage, beside vision encoder and merger; None: by what they cost."""
    chunks: int = 1
    """Stages that each process holds, every pp-th of them (interleaved 1F1B); 1: plain 1F1B."""

    def __post_init__(self) -> None:
        for name in ("dp", "pp", "tp"):
            if getattr(self, name) < 1:
                raise ConfigError(f"--{name} is {getattr(self, name)}; expected at least 1")
        if self.chunks < 1 or (self.chunks > 1 and self.pp == 1):
            raise ConfigError(f"chunks is {self.chunks}; more than 1 needs --pp of at least 2")

    @property
    def world(self) -> int:
        """Processes of the job."""
        return self.dp * self.pp * self.tp

    @property
    def stages(self) -> int:
        """Pipeline stages of all processes."""
        return self.pp * self.chunks

    def check(self, config: Qwen2VLConfig) -> None:
        """See that the network can be cut so.

        Raises:
            ConfigError: a number of heads, widths or layers that does not divide.
        """
        text = config.text
        for name, count in (
            ("attention heads", text.num_attention_heads),
            ("key and value heads", text.num_key_value_heads),
            ("the feed-forward width", text.intermediate_size),
        ):
            if count % self.tp:
                raise ConfigError(f"--tp {self.tp} does not divide {name} ({count})")
        if self.stages > text.num_hidden_layers:
            chunks = f" with {self.chunks} chunks each" if self.chunks > 1 else ""
            raise ConfigError(f"--pp {self.pp}{chunks} is more than the {text.num_hidden_layers} decoder layers")
        if self.first_layers is not None and not 0 <= self.first_layers <= text.num_hidden_layers - self.stages + 1:
            raise ConfigError(f"the first stage cannot have {self.first_layers} of {text.num_hidden_layers} layers")


def stage_layers(config: Qwen2VLConfig, layout: Layout) -> list[range]:
    """The decoder layers of each pipeline stage.

    The rest after the first stage is divided evenly; what is left over goes to the earlier stages, since the last has
    the head. Worked example, 80 layers on 8 stages, 3 of them in the first: 3, then 11 each.
    """
    layers, others = config.text.num_hidden_layers, layout.stages - 1
    if not others:
        return [range(layers)]
    first = layout.first_layers if layout.first_layers is not None else _first_layers(config, others)
    each, over = divmod(layers - first, others)
    edges = [0, first]
    for stage in range(others):
        edges.append(edges[-1] + each + (stage < over))
    return [range(start, end) for start, end in pairwise(edges)]


def held_layers(config: Qwen2VLConfig, layout: Layout, process: int) -> list[range]:
    """The decoder layers of each stage that a process of the pipeline holds."""
    return stage_layers(config, layout)[process :: layout.pp]


def _first_layers(config: Qwen2VLConfig, others: int) -> int:
    """Layers of the first stage with which the slowest stage is quickest; every other stage has one at least."""
    layers = config.text.num_hidden_layers
    vision, head = vision_in_layers(config), head_weights(config) / layer_weights(config)

    def slowest(first: int) -> float:
        each, over = divmod(layers - first, others)
        middle = each + bool(over)
        last = each + head + (over == others)
        return max(vision + first, middle, last)

    return min(range(layers - others + 1), key=lambda first: (slowest(first), first))


def vision_in_layers(config: Qwen2VLConfig) -> float:
    """What vision encoder and merger cost beside the text, in decoder layers; a product costs its weights per row."""
    return PATCHES_PER_TOKEN * vision_weights(config) / layer_weights(config)


def vision_weights(config: Qwen2VLConfig) -> float:
    """Weights of vision encoder and merger that a patch meets; the merger's meet every fourth."""
    vision = config.vision
    block = (4 + 2 * vision.mlp_ratio) * vision.embed_dim**2
    merged = vision.embed_dim * vision.spatial_merge_size**2
    merger = merged * (merged + config.text.hidden_size) / vision.spatial_merge_size**2
    return vision.depth * block + vision.patch_values * vision.embed_dim + merger


def layer_weights(config: Qwen2VLConfig) -> int:
    """Of the matrices of a decoder layer."""
    text = config.text
    kv_width = text.num_key_value_heads * text.head_dim
    return text.hidden_size * (2 * text.hidden_size + 2 * kv_width + 3 * text.intermediate_size)


def head_weights(config: Qwen2VLConfig) -> int:
    """Of the head."""
    return config.text.hidden_size * config.text.vocab_size
