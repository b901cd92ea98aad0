"""The embedded model: a tiny Qwen2-VL that learns on two CPU cores to read screens, to point, and to act.

Hardware: 2 cores, no GPU. The steps are the paper's: stage 1 learns to see, stage 2 everything, stage 3 acts with the
vision encoder locked. There is no language model to begin from, so stages 1 and 2 train every part.
"""

import dataclasses
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from qwen2vl_agent.recipes import tiny_data
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.training.config import StageName, TrainConfig

STAGES: tuple[StageName, ...] = ("stage1", "stage2", "stage3")


@dataclass(frozen=True, kw_only=True, slots=True)
class TinyRecipe:
    """What `train tiny` does; any field can be set from the command line."""

    seed: int = 0
    max_pixels: int = 112_896
    """Of an image: a phone's screen becomes 224 x 476 pixels, 136 tokens."""
    vocabulary: int = 1024
    pages: int = 12_288
    """Screens to learn seeing from."""
    episodes_per_task: int = 120
    noise: float = 0.15
    """Share of deliberate mistakes in the demonstrations, so that recoveries are shown."""
    stage1_steps: int = 2500
    stage2_steps: int = 1500
    stage3_steps: int = 1500
    stage1_lr: float = 1e-3
    stage2_lr: float = 6e-4
    stage3_lr: float = 5e-4
    batch_tokens: int = 8192
    data_workers: int = 1
    harvest_workers: int = 2
    threads: int = 2


def train(*, out: Path, resume: bool = False, overrides: dict[str, str] | None = None) -> Path:
    """Harvest, train the three stages, and export; returns the finished model's folder.

    Every part is resumable, and what is done is not done again.

    Raises:
        ConfigError: an override is of no field of `TinyRecipe` or not of its type; or `out` is in use.
    """
    recipe = with_overrides(TinyRecipe(), overrides or {})
    tiny_data.prepare(recipe, out / "data")
    start: Path | None = None
    for stage in STAGES:
        if stage == "stage2":
            tiny_data.demonstrate(recipe, out / "data" / "episodes")
        start = _train_stage(recipe, stage, start, out, resume)
    assert start is not None
    return start


def _train_stage(recipe: TinyRecipe, stage: StageName, start: Path | None, out: Path, resume: bool) -> Path:
    """Train one stage from the model at `start` (None: new weights), unless it is finished."""
    from qwen2vl_agent.data.loader import Loader
    from qwen2vl_agent.recipes import tiny_model
    from qwen2vl_agent.training.trainer import Trainer

    folder = out / stage
    if (folder / "model" / "config.json").is_file():
        return folder / "model"
    config = stage_config(recipe, stage)
    processor = tiny_data.processor(recipe, out / "data")
    model = tiny_model.load(start) if start else tiny_model.create(recipe, processor)
    loader = Loader(
        tiny_data.mixture(recipe, stage, out / "data"),
        processor,
        config.batch_tokens,
        workers=recipe.data_workers,
        pixel_dtype=tiny_model.PIXEL_DTYPE,
    )
    finished = Trainer(config, model, loader, folder, processor=processor, resume=resume or _begun(folder)).fit()
    assert finished.reason == "done"
    return folder / "model"


def _begun(folder: Path) -> bool:
    return (folder / "checkpoints").is_dir()


def stage_config(recipe: TinyRecipe, stage: StageName) -> TrainConfig:
    """The trainer's configuration of a stage."""
    make = partial(
        TrainConfig,
        stage=stage,
        batch_tokens=recipe.batch_tokens,
        optimizer="muon",
        weight_decay=0.01,
        betas=(0.9, 0.98),
        ema_decay=0.998,
        seed=recipe.seed,
        threads=recipe.threads,
        log_every=20,
        checkpoint_every_s=180.0,
    )
    if stage == "stage3":
        return make(steps=recipe.stage3_steps, lr=recipe.stage3_lr)
    rate, steps = (
        (recipe.stage1_lr, recipe.stage1_steps) if stage == "stage1" else (recipe.stage2_lr, recipe.stage2_steps)
    )
    return make(steps=steps, lr=rate, trainable=("",))


def with_overrides(recipe: TinyRecipe, overrides: dict[str, str]) -> TinyRecipe:
    """The recipe with fields replaced by their text from the command line.

    Raises:
        ConfigError: no such field, or a text that is no such number.
    """
    kinds: dict[str, type] = {item.name: type(getattr(recipe, item.name)) for item in dataclasses.fields(recipe)}
    values = {}
    for field, text in overrides.items():
        if field not in kinds:
            raise ConfigError(f"the recipe tiny has no field {field!r}; it has {', '.join(kinds)}")
        try:
            values[field] = kinds[field](text)
        except ValueError:
            raise ConfigError(f"{field}={text}: expected {kinds[field].__name__}") from None
    return dataclasses.replace(recipe, **values)
