"""A small model that learns to find one event in a film: does a long context carry what one frame shows?

Hardware: one CPU core, some minutes. Every pair of frames is one visual token, so that 20 minutes are 1,200 tokens;
most films it learns from are shorter. The figures that it then reaches stand in docs/design/0017-synthetic-sources.md.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qwen2vl_agent.recipes.overrides import replaced
from qwen2vl_agent.recipes.small_training import SmallRecipe

TOKEN_PIXELS = 28 * 28
"""Of a frame: a pair of frames is one visual token."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FindEventRecipe(SmallRecipe):
    """What `train find-event` does; any field can be set from the command line."""

    steps: int = 400
    batch_tokens: int = 512
    """Tokens of a step, or one film where that has more."""
    ema_decay: float = 0.98


def train(*, out: Path, resume: bool = False, overrides: dict[str, str] | None = None) -> Path:
    """Trains from nothing; gives the finished model's folder, `out/model`.

    Raises:
        ConfigError: an override is of no field of `FindEventRecipe` or not of its type, or there is no such device.
    """
    from qwen2vl_agent.model.precision import check_device
    from qwen2vl_agent.recipes.small_training import fit, make_model

    recipe = replaced(FindEventRecipe(), "find-event", overrides or {})
    check_device(recipe.device)
    processor = make_processor()
    return fit(recipe, make_model(recipe, processor), processor, _mixture(recipe), out, resume)


def make_processor() -> Any:
    """The embedded model's vocabulary; every pair of frames is one token."""
    from qwen2vl_agent.dialogue.processor import Processor
    from qwen2vl_agent.model.image_processor import ImageProcessor
    from qwen2vl_agent.model.video_processor import VideoProcessor
    from qwen2vl_agent.recipes.spelled_vocabulary import spelled_tokenizer

    images = ImageProcessor(TOKEN_PIXELS, TOKEN_PIXELS)
    return Processor(spelled_tokenizer(), images, VideoProcessor(TOKEN_PIXELS, TOKEN_PIXELS, images=images))


def _mixture(recipe: FindEventRecipe) -> Any:
    """Films of 10 seconds to a minute for the most part, and some of up to 20 minutes."""
    from qwen2vl_agent.data.mixture import Mixture
    from qwen2vl_agent.data.synthetic.videos import EventSource

    lengths = {"seconds": ((6, 10, 20), 0.7), "minutes": ((30, 60, 120), 0.26), "long": ((300, 600, 1200), 0.04)}
    sources = [
        (EventSource(name=name, seed=recipe.seed, seconds=seconds), share) for name, (seconds, share) in lengths.items()
    ]
    return Mixture(sources, recipe.seed)
