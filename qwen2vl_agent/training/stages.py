"""The three stages of training: which parameters learn in each.

| stage | trains | frozen |
| --- | --- | --- |
| 1 | vision encoder and merger | language model |
| 2 | everything | nothing |
| 3 | language model | vision encoder and merger |

Whether the merger trains in stages 1 and 3 the report does not say (QwenLM/Qwen3-VL#833 asks, unanswered): it is a
switch. Source: Qwen2-VL technical report §2.2.
"""

from dataclasses import dataclass

from torch import nn

from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.training.config import TrainConfig

VISION = "visual."
MERGER = "visual.merger."


@dataclass(frozen=True, slots=True)
class Stage:
    """Which of the three parts train."""

    vision: bool
    merger: bool
    language: bool


STAGES = {
    "stage1": Stage(vision=True, merger=True, language=False),
    "stage2": Stage(vision=True, merger=True, language=True),
    "stage3": Stage(vision=False, merger=False, language=True),
}


def trainable_names(model: nn.Module, config: TrainConfig) -> list[str]:
    """Names of the parameters that `config` trains, in the model's order.

    Raises:
        ConfigError: a prefix fits no parameter.
    """
    names = [name for name, _ in model.named_parameters()]
    if config.trainable is not None:
        for prefix in config.trainable:
            if not any(name.startswith(prefix) for name in names):
                raise ConfigError(f"no parameter's name begins with {prefix!r}; the parts are {_parts(names)}")
        return [name for name in names if name.startswith(config.trainable)]
    stage = STAGES[config.stage]
    merger = stage.merger if config.train_merger is None else config.train_merger
    return [name for name in names if _trains(name, stage, merger)]


def freeze_all_but(model: nn.Module, names: list[str]) -> None:
    """Make exactly these parameters trainable. To be called after any parallelism is applied, which may undo it."""
    wanted = set(names)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in wanted)
        if name not in wanted:
            parameter.grad = None
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trained == wanted, f"the trainable set is off by {sorted(trained ^ wanted)[:5]}"


def _trains(name: str, stage: Stage, merger: bool) -> bool:
    if name.startswith(MERGER):
        return merger
    return stage.vision if name.startswith(VISION) else stage.language


def _parts(names: list[str]) -> str:
    return ", ".join(sorted({name.split(".")[0] + "." for name in names}))
