"""What the recipes of the three stages share: a network of any size, conversations in files, any layout."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from qwen2vl_agent.data.conversations import Targets
from qwen2vl_agent.model.config import Qwen2VLConfig, Size, preset
from qwen2vl_agent.recipes import stage_data
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.training.config import StageName, TrainConfig
from qwen2vl_agent.training.parallel.layout import Layout

EMBEDDED = Path(__file__).parents[1] / "checkpoints" / "tiny"
"""Whose tokenizer a tiny model from nothing takes."""

PLANNED = {"72b": (8, 8), "7b": (4, 1)}
"""Tensor and pipeline parallel that a dry run takes for a size: nodes of eight devices."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StageRecipe:
    """One stage; any field can be set from the command line."""

    stage: StageName
    targets: Targets
    """What is to be predicted: `text`, all of it, or the `assistant`'s words."""
    size: str = "tiny"
    model: str = ""
    """Checkpoint folder or hub id to begin from; empty: new weights, of the tiny size only."""
    data: str = ""
    """Files of conversations, text stores and generators, parted by commas, each with its share:
    `a.jsonl=3,stores/talk=2,synthetic:charts=1`."""
    cutoff: str = ""
    """A date: text stores with younger content are refused, and files of conversations, which declare no dates."""
    video_cache: str = ""
    """Folder that keeps the frames of videos, so that each is decoded once."""
    dp: int = 1
    pp: int = 1
    tp: int = 1
    first_layers: int = -1
    """Decoder layers of the first pipeline stage; -1: by what they cost."""
    train_merger: bool = True
    """Whether the merger trains in a stage that trains the vision encoder."""
    rows_per_step: int = 8
    """Packed rows of an optimizer step, over all replicas."""
    batch_tokens: int = 8192
    token_budget: float = 1e9
    steps: int = 0
    """0: until the token budget is spent."""
    lr: float = 1e-5
    warmup_steps: int = 100
    dtype: str = "bfloat16"
    lora_rank: int = 0
    """Of thin matrices that learn beside the language model's, which stay (LoRA); 0: the matrices themselves learn."""
    lora_alpha: float = 32.0
    recompute: str = "selective"
    """Activations computed again in backward: `none`, `selective` or `full`."""
    reconcile_every: int = 100
    """Steps between two offline reductions of what tensor-parallel processes share."""
    checkpoint_every_steps: int = 0
    """0: by the clock only, every five minutes."""
    log_every: int = 10
    keep_checkpoints: int = 2
    data_workers: int = 0
    device: str = "cpu"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.size not in get_args(Size):
            raise ConfigError(f"there is no size {self.size!r}; expected one of {', '.join(get_args(Size))}")
        if self.recompute not in ("none", "selective", "full"):
            raise ConfigError(f"recompute is {self.recompute!r}; expected none, selective or full")
        if self.dtype not in ("bfloat16", "float32"):
            raise ConfigError(f"dtype is {self.dtype!r}; expected bfloat16 or float32")
        if self.rows_per_step < 1 or self.reconcile_every < 1:
            raise ConfigError("rows_per_step and reconcile_every must be at least 1")
        if self.lora_rank < 0 or (self.lora_rank and self.stage != "stage3"):
            raise ConfigError(f"lora_rank is {self.lora_rank}; it is for stage3, and at least 1")

    @property
    def layout(self) -> Layout:
        """How processes are laid out."""
        first = None if self.first_layers < 0 else self.first_layers
        return Layout(dp=self.dp, pp=self.pp, tp=self.tp, first_layers=first)

    def train_config(self) -> TrainConfig:
        """The trainer's configuration."""
        return TrainConfig(
            stage=self.stage,
            train_merger=None if self.stage == "stage3" else self.train_merger,
            steps=self.steps or None,
            token_budget=self.token_budget,
            batch_tokens=self.batch_tokens,
            lr=self.lr,
            warmup_steps=self.warmup_steps,
            dtype=self.dtype,  # type: ignore[arg-type]
            device=self.device,
            seed=self.seed,
            log_every=self.log_every,
            keep_checkpoints=self.keep_checkpoints,
            checkpoint_every_steps=self.checkpoint_every_steps or None,
        )


def train_stage(recipe: StageRecipe, *, out: Path, resume: bool, overrides: dict[str, str]) -> Path:
    """Train one stage, as one process or as one of those that torchrun started; gives the finished model's folder.

    Raises:
        ConfigError: a field, a file or a layout that cannot be used.
    """
    recipe = with_overrides(recipe, overrides)
    mixture = stage_data.mixture(recipe.data, recipe.targets, recipe.seed, recipe.cutoff)
    from qwen2vl_agent.training.parallel.data_order import RowStreams
    from qwen2vl_agent.training.parallel.grid import joined
    from qwen2vl_agent.training.parallel.lora import add_lora
    from qwen2vl_agent.training.parallel.trainer import JobTrainer

    recipe.layout.check(network(recipe))
    with joined(recipe.layout, recipe.device) as grid:
        processor, model = _processor(recipe), _model(recipe)
        reader = stage_data.with_video_cache(processor, recipe.video_cache)
        if recipe.lora_rank:
            add_lora(model, recipe.lora_rank, recipe.lora_alpha, recipe.seed)
        data = RowStreams(
            mixture,
            reader,
            grid,
            rows=recipe.rows_per_step,
            batch_tokens=recipe.batch_tokens,
            workers=recipe.data_workers,
        )
        trainer = JobTrainer(
            recipe.train_config(),
            model,
            data,
            grid,
            out,
            processor=processor,
            resume=resume,
            recompute=recipe.recompute,  # type: ignore[arg-type]
            reconcile_every=recipe.reconcile_every,
        )
        trainer.fit()
    return out / "model"


def plan_stage(recipe: StageRecipe, world: int, overrides: dict[str, str]) -> list[Any]:
    """What every pipeline stage of a job of `world` processes would hold (`dry_run.StagePlan`), without starting it.

    What --tp and --pp leave open is `PLANNED`; --dp is what remains.

    Raises:
        ConfigError: a layout that fits neither the processes nor the network.
    """
    tp, pp = PLANNED.get(overrides.get("size", recipe.size), (1, 1))
    overrides = {"tp": str(tp), "pp": str(pp)} | overrides
    if "dp" not in overrides:
        layout = with_overrides(recipe, overrides).layout
        overrides["dp"] = str(max(1, world // layout.world))
    recipe = with_overrides(recipe, overrides)
    if recipe.layout.world != world:
        raise ConfigError(
            f"dp {recipe.dp} x pp {recipe.pp} x tp {recipe.tp} are not the {world} processes of --dry-run"
        )
    from qwen2vl_agent.training.parallel.dry_run import plan

    config, recompute = recipe.train_config(), recipe.recompute
    return plan(network(recipe), recipe.layout, config, recompute, recipe.lora_rank)  # type: ignore[arg-type]


def network(recipe: StageRecipe) -> Qwen2VLConfig:
    """The network's configuration; of the preset, or as the checkpoint says."""
    from qwen2vl_agent.model.hf_checkpoint import load_config
    from qwen2vl_agent.model.hub import checkpoint_folder

    if recipe.model:
        return load_config(checkpoint_folder(recipe.model, ("*.json",)))
    config = preset(recipe.size)  # type: ignore[arg-type]
    if recipe.size != "tiny":
        return config
    tokenizer = _processor(recipe).tokenizer
    config = config.with_tokens(tokenizer.special)
    return dataclasses.replace(config, text=dataclasses.replace(config.text, vocab_size=len(tokenizer)))


def _processor(recipe: StageRecipe) -> Any:
    from qwen2vl_agent.dialogue.processor import Processor

    return Processor.from_pretrained(recipe.model or EMBEDDED)


def _model(recipe: StageRecipe) -> Any:
    """The whole network on this process, its weights mapped from the file and not yet read."""
    from qwen2vl_agent.model.qwen2vl import Qwen2VL

    if recipe.model:
        return Qwen2VL.from_pretrained(recipe.model, dtype=None)
    if recipe.size != "tiny":
        raise ConfigError(f"--size {recipe.size} begins from a checkpoint: give --model FOLDER or a hub id")
    return Qwen2VL(network(recipe), seed=recipe.seed)


def with_overrides(recipe: StageRecipe, overrides: dict[str, str]) -> StageRecipe:
    """The recipe with fields replaced by their text from the command line.

    Raises:
        ConfigError: no such field, or a text that is no such value.
    """
    kinds = {item.name: type(getattr(recipe, item.name)) for item in dataclasses.fields(recipe)}
    values: dict[str, Any] = {}
    for name, text in overrides.items():
        if name not in kinds or name == "stage":
            raise ConfigError(f"the recipe {recipe.stage} has no field {name!r}; it has {', '.join(kinds)}")
        values[name] = _value(name, text, kinds[name])
    return dataclasses.replace(recipe, **values)


def _value(name: str, text: str, kind: type) -> Any:
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise ConfigError(f"{name}={text}: expected true or false")
        return text.lower() == "true"
    try:
        return kind(text)
    except ValueError:
        raise ConfigError(f"{name}={text}: expected {kind.__name__}") from None
