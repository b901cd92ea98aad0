"""`qwen2vl-agent completion`: what a shell needs to complete commands and flags."""

import contextlib
import importlib
import io
from dataclasses import dataclass
from typing import Any, Literal

import tyro

from qwen2vl_agent.commands.catalogue import COMMANDS, PROGRAM


@dataclass(frozen=True, kw_only=True)
class Command:
    """Print a script that lets a shell complete this program's commands and flags with the tab key.

    The script works without loading this program; it needs python3 on the path.

    Examples:
      source <(qwen2vl-agent completion bash)                    in ~/.bashrc
      qwen2vl-agent completion zsh > ~/.zfunc/_qwen2vl-agent     with fpath+=~/.zfunc before compinit in ~/.zshrc
      qwen2vl-agent completion fish > ~/.config/fish/completions/qwen2vl-agent.fish
    """

    shell: tyro.conf.Positional[Literal["bash", "zsh", "fish"]]
    """whose script"""

    def run(self) -> int:
        """Prints the script."""
        print(completion_script(self.shell), end="")
        return 0


def completion_script(shell: str) -> str:
    """The script, made by tyro from all commands as if they were one."""
    classes: dict[str, Any] = {name: importlib.import_module(f"{__package__}.{name}").Command for name in COMMANDS}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        tyro.extras.subcommand_cli_from_dict(
            classes,
            prog=PROGRAM,
            args=["--tyro-print-completion", shell],
            config=(tyro.conf.FlagCreatePairsOff,),
        )
    return printed.getvalue()
