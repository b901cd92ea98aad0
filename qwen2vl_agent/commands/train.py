"""`qwen2vl-agent train`: a recipe, run."""

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from qwen2vl_agent.commands import output
from qwen2vl_agent.commands.flags import at_least_one, out_folder, read_overrides
from qwen2vl_agent.schema.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Command:
    """Train a model by a recipe.

    Killed or interrupted, it goes on from its last checkpoint with --resume. The resolved configuration lies beside
    every checkpoint.

    Examples:
      qwen2vl-agent train tiny --out runs/tiny
      qwen2vl-agent train tiny --out runs/tiny --resume
      qwen2vl-agent train tiny --out runs/short --set look_steps=100 --set seed=3
      qwen2vl-agent train stage3 --model FOLDER --data talks.jsonl --out runs/talks
      qwen2vl-agent train lora --model Qwen/Qwen2-VL-7B-Instruct --data talks.jsonl --out runs/adapter
      torchrun --nproc-per-node 4 -m qwen2vl_agent train stage2 --dp 2 --pp 2 --model FOLDER --data a.jsonl --out runs/a
    """

    recipe: tyro.conf.Positional[str]
    """which recipe: stage1, stage2, stage3 (the three stages, on your data), lora (stage 3 for one GPU of 24 GB), tiny
    (the embedded model) or find-event (a small model that finds an event in a long film)"""
    size: Literal["tiny", "2b", "7b", "72b"] | None = None
    """of the stages' network; with --model it is the checkpoint's"""
    model: str | None = None
    """checkpoint folder or hub id that a stage begins from"""
    data: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """what to train a stage on: FILE.jsonl with conversations, a text store's folder (data build), or a generator,
    synthetic:NAME (data synthetic); each with =SHARE if you like; repeat it to mix"""
    dp: int | None = None
    """replicas, each with its share of the data; dp x pp x tp processes, started with torchrun"""
    pp: int | None = None
    """pipeline stages"""
    tp: int | None = None
    """processes that share each matrix"""
    out: Path | None = None
    """folder for checkpoints and metrics; a new one below runs/ if left out"""
    dry_run: int | None = None
    """print what a stage's job of so many processes would hold, stage by stage, and train nothing"""
    resume: bool = False
    """go on with what is in --out"""
    set: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """FIELD=VALUE: a field of the recipe's configuration, in place of its own value"""
    json: bool = False
    """print one JSON object as the last line of standard output"""

    def run(self) -> int:
        """Trains to the end of the recipe."""
        if self.resume and self.out is None:
            raise ConfigError("--resume needs --out: the folder of the run to go on with")
        from qwen2vl_agent.training.threads import share_cores

        share_cores()  # before a recipe imports torch
        from qwen2vl_agent.recipes import registry

        overrides = self._named() | read_overrides(self.set)
        if self.dry_run is not None:
            return self._plan(registry.planner(self.recipe), overrides)
        if self.out is None and int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise ConfigError("a job of several processes needs --out: the folder that all of them use")
        train = registry.get(self.recipe)
        out = out_folder(self.out, f"train-{self.recipe}")
        model = train(out=out, resume=self.resume, overrides=overrides)
        if os.environ.get("RANK", "0") != "0":
            return 0
        told = f"trained; use it with --model {model}"
        output.console(self.json).print(told, markup=False, soft_wrap=True)
        if self.json:
            output.print_object({"recipe": self.recipe, "out": str(out), "model": str(model)})
        return 0

    def _plan(self, planner: Any, overrides: dict[str, str]) -> int:
        world = at_least_one("--dry-run", self.dry_run or 0)
        stages = planner(world, overrides)
        output.console(self.json).print(_table(stages, world))
        if self.json:
            told = [{**asdict(stage), "layers": len(stage.layers), "total_gib": stage.total_gib} for stage in stages]
            output.print_object({"recipe": self.recipe, "world": world, "stages": told})
        return 0

    def _named(self) -> dict[str, str]:
        """The recipe's fields that have a flag of their own, where it was given."""
        given = {name: getattr(self, name) for name in ("size", "model", "dp", "pp", "tp")}
        given["data"] = ",".join(self.data) or None
        return {name: str(value) for name, value in given.items() if value is not None}


def _table(stages: list[Any], world: int) -> Any:
    """Memory of one process of each pipeline stage."""
    from rich.table import Table

    whole = sum(stage.parameters for stage in stages) / 1e9
    table = Table(title=f"{whole:.2f} B parameters on {world} processes; GiB of one process, activations estimated")
    for name in ("stage", "holds", "parameters", "own", "weights", "gradients", "optimizer", "activations", "total"):
        table.add_column(name, justify="left" if name == "holds" else "right")
    for stage in stages:
        parts = ["vision encoder"] * stage.has_vision + [f"{len(stage.layers)} layers"] + ["head"] * stage.has_head
        sizes = (stage.weights_gib, stage.gradients_gib, stage.optimizer_gib, stage.activations_gib, stage.total_gib)
        counts = (f"{stage.parameters / 1e9:.2f} B", f"{stage.own_parameters / 1e9:.2f} B")
        table.add_row(str(stage.stage), ", ".join(parts), *counts, *(f"{size:.1f}" for size in sizes))
    return table
