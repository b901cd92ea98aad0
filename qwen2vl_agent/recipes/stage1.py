"""Stage 1: the vision encoder and the merger learn from pictures with texts; the language model is locked.

Any size and layout, on CUDA devices or CPU; 600e9 tokens in the original.
The report tells no learning rates: that here is a choice.
Source: Qwen2-VL technical report §2.2.
"""

from pathlib import Path
from typing import Any

from qwen2vl_agent.recipes.staged import StageRecipe, plan_stage, train_stage

RECIPE = StageRecipe(stage="stage1", targets="text", token_budget=600e9, lr=1e-4)


def train(*, out: Path, resume: bool = False, overrides: dict[str, str] | None = None) -> Path:
    """Train the stage; returns the finished model's folder, `out/model`.

    Raises:
        ConfigError: a field, a file or a layout that cannot be used.
    """
    return train_stage(RECIPE, out=out, resume=resume, overrides=overrides or {})


def plan(world: int, overrides: dict[str, str]) -> list[Any]:
    """What every pipeline stage of a job of `world` processes would hold.

    Raises:
        ConfigError: a layout that fits neither the processes nor the network.
    """
    return plan_stage(RECIPE, world, overrides)
