"""`qwen2vl-agent train`: a recipe, run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from qwen2vl_agent.commands import output
from qwen2vl_agent.commands.flags import out_folder
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
    """

    recipe: tyro.conf.Positional[str]
    """which recipe, for example tiny"""
    out: Path | None = None
    """folder for checkpoints and metrics; a new one below runs/ if left out"""
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

        overrides = read_overrides(self.set)
        train = registry.get(self.recipe)
        out = out_folder(self.out, f"train-{self.recipe}")
        model = train(out=out, resume=self.resume, overrides=overrides)
        told = f"trained; use it with --model {model}"
        output.console(self.json).print(told, markup=False, soft_wrap=True)
        if self.json:
            output.print_object({"recipe": self.recipe, "out": str(out), "model": str(model)})
        return 0


def read_overrides(settings: tuple[str, ...]) -> dict[str, str]:
    """`("seed=3",)` as `{"seed": "3"}`; the recipe knows the fields' types.

    Raises:
        ConfigError: one is not FIELD=VALUE.
    """
    overrides = {}
    for setting in settings:
        field, equals, value = setting.partition("=")
        if not (field and equals):
            raise ConfigError(f"--set {setting}: expected FIELD=VALUE, for example --set seed=3")
        overrides[field] = value
    return overrides
