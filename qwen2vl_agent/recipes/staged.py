"""A stage's recipe, run or planned: a network of any size, text stores or conversations in files, any layout."""

import dataclasses
from pathlib import Path
from typing import Any

from qwen2vl_agent.data.mixture import Mixture
from qwen2vl_agent.data.plan import DataPlan
from qwen2vl_agent.data.text_store import StoredSource
from qwen2vl_agent.model.config import Qwen2VLConfig, preset
from qwen2vl_agent.recipes import stage_data
from qwen2vl_agent.recipes.stages import StageRecipe, with_overrides
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.training.spikes import SpikeWatch

EMBEDDED = Path(__file__).parents[1] / "checkpoints" / "tiny"
"""Whose tokenizer a tiny model from nothing takes."""

PLANNED = {"72b": (8, 8), "7b": (4, 1)}
"""Tensor and pipeline parallel that a dry run takes for a size: nodes of eight devices."""


def train_stage(recipe: StageRecipe, *, out: Path, resume: bool, overrides: dict[str, str]) -> Path:
    """Train one stage, as one process or as one of those that torchrun started; gives the finished model's folder.

    Raises:
        ConfigError: a field, a file or a layout that cannot be used.
    """
    from qwen2vl_agent.model.precision import check_device

    recipe = with_overrides(recipe, overrides)
    check_device(recipe.device)
    watch = SpikeWatch(recipe.spike_factor, recipe.on_spike)  # type: ignore[arg-type]
    mixture = stage_data.mixture(recipe.data, recipe.targets, recipe.seed, recipe.cutoff)
    from qwen2vl_agent.training.parallel.needs import check_torch

    check_torch()
    from qwen2vl_agent.training.parallel.grid import joined
    from qwen2vl_agent.training.parallel.lora import add_lora
    from qwen2vl_agent.training.parallel.trainer import JobTrainer

    recipe.layout.check(network(recipe))
    with joined(recipe.layout, recipe.device) as grid:
        processor, model = _processor(recipe), _model(recipe)
        reader = stage_data.with_video_cache(processor, recipe.video_cache)
        if recipe.lora_rank:
            add_lora(model, recipe.lora_rank, recipe.lora_alpha, recipe.seed)
        data = _rows(recipe, mixture, reader, grid)
        trainer = JobTrainer(
            recipe.train_config(),
            model,
            data,
            grid,
            out,
            processor=processor,
            base_model=recipe.model,
            resume=resume,
            recompute=recipe.recompute,  # type: ignore[arg-type]
            reconcile_every=recipe.reconcile_every,
            watch=watch,
            peak_tflops=recipe.peak_tflops,
            tensorboard=recipe.tensorboard,
        )
        trainer.fit()
    return out / "model"


def plan_stage(recipe: StageRecipe, world: int, overrides: dict[str, str]) -> list[Any]:
    """What every pipeline stage of a job of `world` processes would hold (`dry_run.StagePlan`), without starting it.

    What --tp and --pp leave open is `PLANNED`; --dp is what remains.

    Raises:
        ConfigError: a layout that fits neither the processes nor the network.
    """
    tp, pp = PLANNED.get(overrides.get("size", recipe.size), (1, 1)) if world > 1 else (1, 1)
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

    if recipe.dtype == "auto":  # the plan is for other machines than the one that makes it
        recipe = dataclasses.replace(recipe, dtype="bfloat16")
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


def _rows(recipe: StageRecipe, mixture: Mixture, processor: Any, grid: Any) -> Any:
    """By a plan where all lengths are known from an index, else packed as they come."""
    from qwen2vl_agent.training.parallel.data_order import RowStreams
    from qwen2vl_agent.training.parallel.planned_rows import PlannedRows

    rows, tokens, workers = recipe.rows_per_step, recipe.batch_tokens, recipe.data_workers
    if all(isinstance(source, StoredSource) for source, _ in mixture.sources):
        return PlannedRows(DataPlan(mixture, rows=rows, batch_tokens=tokens), processor, grid, workers=workers)
    return RowStreams(mixture, processor, grid, rows=rows, batch_tokens=tokens, workers=workers)
