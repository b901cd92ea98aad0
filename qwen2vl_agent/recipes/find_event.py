"""A small model that learns to find one event in a film: does a long context carry what one frame shows?

Hardware: one CPU core, some minutes. Every pair of frames is one visual token, so that 20 minutes are 1,200 tokens;
most films it learns from are shorter. The figures that it then reaches stand in docs/design/0017-synthetic-sources.md.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qwen2vl_agent.recipes.overrides import replaced
from qwen2vl_agent.schema.errors import ConfigError

TOKEN_PIXELS = 28 * 28
"""Of a frame: a pair of frames is one visual token."""
POSITIVE = ("steps", "batch_tokens", "width", "layers", "vision_width", "vision_layers", "threads")
"""Fields that are at least 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FindEventRecipe:
    """What `train find-event` does; any field can be set from the command line."""

    seed: int = 0
    steps: int = 400
    lr: float = 2e-3
    batch_tokens: int = 512
    """Tokens of a step, or one film where that has more."""
    width: int = 128
    """Of the language model, whose heads have 64 values each."""
    layers: int = 3
    vision_width: int = 96
    vision_layers: int = 2
    threads: int = 1
    data_workers: int = 0

    def __post_init__(self) -> None:
        low = [item.name for item in dataclasses.fields(self) if getattr(self, item.name) < (item.name in POSITIVE)]
        if low:
            raise ConfigError(f"{low[0]} is too small: {getattr(self, low[0])}")


def train(*, out: Path, resume: bool = False, overrides: dict[str, str] | None = None) -> Path:
    """Trains from nothing; gives the finished model's folder, `out/model`.

    Raises:
        ConfigError: an override is of no field of `FindEventRecipe` or not of its type.
    """
    from qwen2vl_agent.data.loader import Loader
    from qwen2vl_agent.training.config import TrainConfig
    from qwen2vl_agent.training.trainer import Trainer

    recipe = replaced(FindEventRecipe(), "find-event", overrides or {})
    config = TrainConfig(
        stage="stage2",
        trainable=("",),
        steps=recipe.steps,
        lr=recipe.lr,
        batch_tokens=recipe.batch_tokens,
        optimizer="muon",
        weight_decay=0.01,
        betas=(0.9, 0.98),
        ema_decay=0.98,
        warmup_steps=50,
        seed=recipe.seed,
        threads=recipe.threads,
        log_every=20,
    )
    processor = make_processor()
    with Loader(_mixture(recipe), processor, recipe.batch_tokens, workers=recipe.data_workers) as loader:
        trainer = Trainer(config, make_model(recipe, processor), loader, out, processor=processor, resume=resume)
        assert trainer.fit().reason == "done"
    return out / "model"


def make_processor() -> Any:
    """The embedded model's vocabulary; every pair of frames is one token."""
    from qwen2vl_agent.dialogue.processor import Processor
    from qwen2vl_agent.model.image_processor import ImageProcessor
    from qwen2vl_agent.model.video_processor import VideoProcessor
    from qwen2vl_agent.recipes.spelled_vocabulary import spelled_tokenizer

    images = ImageProcessor(TOKEN_PIXELS, TOKEN_PIXELS)
    return Processor(spelled_tokenizer(), images, VideoProcessor(TOKEN_PIXELS, TOKEN_PIXELS, images=images))


def make_model(recipe: FindEventRecipe, processor: Any) -> Any:
    """New weights, of the recipe's shape."""
    from qwen2vl_agent.model.config import preset
    from qwen2vl_agent.model.qwen2vl import Qwen2VL
    from qwen2vl_agent.recipes.small_weights import initialise_small

    config = preset("tiny").with_tokens(processor.tokenizer.special)
    text = dataclasses.replace(
        config.text,
        vocab_size=len(processor.tokenizer),
        hidden_size=recipe.width,
        intermediate_size=2 * recipe.width,
        num_hidden_layers=recipe.layers,
        max_window_layers=recipe.layers,
        num_attention_heads=recipe.width // 64,
        num_key_value_heads=1,
    )
    vision = dataclasses.replace(
        config.vision, depth=recipe.vision_layers, embed_dim=recipe.vision_width, num_heads=recipe.vision_width // 32
    )
    model = Qwen2VL(dataclasses.replace(config, text=text, vision=vision))
    initialise_small(model, recipe.seed)
    return model


def _mixture(recipe: FindEventRecipe) -> Any:
    """Films of 10 seconds to a minute for the most part, and some of up to 20 minutes."""
    from qwen2vl_agent.data.mixture import Mixture
    from qwen2vl_agent.data.synthetic.videos import EventSource

    lengths = {"seconds": ((6, 10, 20), 0.7), "minutes": ((30, 60, 120), 0.26), "long": ((300, 600, 1200), 0.04)}
    sources = [
        (EventSource(name=name, seed=recipe.seed, seconds=seconds), share) for name, (seconds, share) in lengths.items()
    ]
    return Mixture(sources, recipe.seed)
