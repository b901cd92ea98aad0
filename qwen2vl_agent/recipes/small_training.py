"""What recipes of small models share that learn everything at once, on one machine."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qwen2vl_agent.schema.errors import ConfigError

POSITIVE = ("steps", "batch_tokens", "width", "layers", "vision_width", "vision_layers", "rope_theta", "threads")
"""Fields that are at least 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SmallRecipe:
    """A small model's shape and how it learns."""

    seed: int = 0
    steps: int = 1000
    lr: float = 2e-3
    batch_tokens: int = 2048
    """Tokens of a step."""
    ema_decay: float = 0.99
    """Of the mean of the weights, which is what is saved."""
    width: int = 128
    """Of the language model, whose heads have 64 values each."""
    layers: int = 3
    vision_width: int = 96
    """Of the vision encoder, whose heads have 32 values each."""
    vision_layers: int = 2
    rope_theta: float = 1_000_000.0
    """Rotary base. The published one turns the pairs of a picture's columns by 0.0002 a token, which a language model
    of this size hardly sees; 100 turns them by 0.06, and the model forgets what was said some hundred tokens ago."""
    mrope_section: str = "8,12,12"
    """Pairs of a head that turn with time, rows and columns, fastest first; 32 in all."""
    language: str = ""
    """A model's folder, or `embedded`: its language model is where this one begins, shape and all, in place of
    `width`, `layers`, `rope_theta` and `mrope_section`. One that has copied texts finds its own words again, which one
    that has not is slow to learn (`docs/log.md`). Empty: from nothing."""
    vision: str = ""
    """A model's folder, or `embedded`: its vision encoder is where this one begins, in place of `vision_width` and
    `vision_layers`. Empty: from nothing."""
    threads: int = 1
    data_workers: int = 0
    device: str = "cpu"
    """Or `cuda`."""
    seconds: int = 0
    """The training ends after so many, its rate falling with the clock, if its steps are not over before; 0: never."""

    def __post_init__(self) -> None:
        numbers = (item.name for item in dataclasses.fields(self) if item.type in (int, float))
        low = [name for name in numbers if getattr(self, name) < (name in POSITIVE)]
        if low:
            raise ConfigError(f"{low[0]} is too small: {getattr(self, low[0])}")
        if len(self.sections) != 3 or sum(self.sections) != 32:
            raise ConfigError(f"mrope_section is {self.mrope_section!r}; expected three numbers that make 32: 8,12,12")

    @property
    def sections(self) -> tuple[int, ...]:
        """`mrope_section` in numbers; empty where it is none."""
        parts = self.mrope_section.split(",")
        return tuple(map(int, parts)) if all(part.strip().isdecimal() for part in parts) else ()


def make_model(recipe: SmallRecipe, processor: Any) -> Any:
    """New weights of the recipe's shape, with the processor's vocabulary.

    Raises:
        CheckpointError: `language` or `vision` names no model.
        ConfigError: a model to begin with has another vocabulary, or two do not fit each other.
    """
    from qwen2vl_agent.model.config import preset
    from qwen2vl_agent.model.qwen2vl import Qwen2VL
    from qwen2vl_agent.recipes.small_weights import initialise_small

    config = preset("tiny").with_tokens(processor.tokenizer.special)
    speaks, sees = (_begun(name, len(processor.tokenizer), config) for name in (recipe.language, recipe.vision))
    text = speaks.config.text if speaks else _text_shape(recipe, config.text, len(processor.tokenizer))
    vision = sees.config.vision if sees else _vision_shape(recipe, config.vision)
    model = Qwen2VL(dataclasses.replace(config, text=text, vision=vision))
    initialise_small(model, recipe.seed)
    if speaks:
        model.language_model.load_state_dict(speaks.language_model.state_dict())
    if sees and sees.config.text.hidden_size != text.hidden_size:
        raise ConfigError(
            f"the encoder of {recipe.vision} writes {sees.config.text.hidden_size} numbers a token; expected "
            f"{text.hidden_size}, the width of the language model"
        )
    if sees:
        model.visual.load_state_dict(sees.visual.state_dict())
    return model


def _text_shape(recipe: SmallRecipe, preset: Any, vocabulary: int) -> Any:
    return dataclasses.replace(
        preset,
        vocab_size=vocabulary,
        hidden_size=recipe.width,
        intermediate_size=2 * recipe.width,
        num_hidden_layers=recipe.layers,
        max_window_layers=recipe.layers,
        num_attention_heads=recipe.width // 64,
        num_key_value_heads=1,
        rope_theta=recipe.rope_theta,
        mrope_section=recipe.sections,
    )


def _vision_shape(recipe: SmallRecipe, preset: Any) -> Any:
    width = recipe.vision_width
    return dataclasses.replace(preset, depth=recipe.vision_layers, embed_dim=width, num_heads=width // 32)


def _begun(folder: str, vocabulary: int, config: Any) -> Any:
    """The model that is to be begun with; None: from nothing."""
    from qwen2vl_agent.model.qwen2vl import Qwen2VL
    from qwen2vl_agent.recipes.staged import EMBEDDED

    if not folder:
        return None
    found = Qwen2VL.from_pretrained(EMBEDDED if folder == "embedded" else folder, "float32")
    if (found.config.text.vocab_size, found.config.image_token_id) != (vocabulary, config.image_token_id):
        raise ConfigError(f"{folder} has another vocabulary than the embedded model; nothing of it fits")
    return found


def fit(recipe: SmallRecipe, model: Any, processor: Any, mixture: Any, out: Path, resume: bool) -> Path:
    """Train all of it on the mixture; gives the finished model's folder, `out/model`."""
    from qwen2vl_agent.data.ahead import Ahead
    from qwen2vl_agent.data.loader import Loader
    from qwen2vl_agent.training.config import TrainConfig
    from qwen2vl_agent.training.trainer import Trainer

    config = TrainConfig(
        stage="stage2",
        trainable=("",),
        steps=recipe.steps,
        lr=recipe.lr,
        batch_tokens=recipe.batch_tokens,
        optimizer="muon",
        weight_decay=0.01,
        betas=(0.9, 0.98),
        ema_decay=recipe.ema_decay,
        warmup_steps=50,
        device=recipe.device,
        seconds_budget=recipe.seconds or None,
        seed=recipe.seed,
        threads=recipe.threads,
        log_every=20,
    )
    loader = Loader(mixture, processor, recipe.batch_tokens, workers=recipe.data_workers)
    with loader if recipe.device == "cpu" else Ahead(loader, recipe.device) as batches:
        trainer = Trainer(config, model, batches, out, processor=processor, resume=resume)
        assert trainer.fit().reason == "done"
    return out / "model"
