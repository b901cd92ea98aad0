"""The command line: finds the command, reads its flags, and turns what happened into an exit status.

0 done · 1 the task failed, or a difference was found · 2 the operator must act · 130 interrupted
"""

import difflib
import errno
import importlib
import inspect
import json
import os
import sys
from collections.abc import Sequence
from typing import Any, Protocol

from qwen2vl_agent import __version__
from qwen2vl_agent.commands.catalogue import COMMANDS, PROGRAM
from qwen2vl_agent.schema.errors import ConfigError, OperatorError

EXIT_FAILED, EXIT_OPERATOR, EXIT_INTERRUPTED = 1, 2, 130
ELSEWHERE = "name another folder, or change who may write there"
ROOM = "make room; what was recorded before is kept"
REFUSED = {
    errno.ENOSPC: ROOM,
    errno.EDQUOT: ROOM,
    errno.EFBIG: ROOM,
    errno.EROFS: ELSEWHERE,
    errno.EACCES: ELSEWHERE,
    errno.EPERM: ELSEWHERE,
}
"""What the system may refuse a program that has no fault, with what to do about it."""


class Command(Protocol):
    """What every module of `commands/` offers as its class `Command`."""

    def run(self) -> int:
        """Does the work and gives the exit status."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and gives its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help"):
        print(overview())
        return 0
    if words[0] == "--version":
        print(f"{PROGRAM} {__version__}")
        return 0
    try:
        status = read_command(words).run()
        sys.stdout.flush()
        return status
    except OperatorError as error:
        _tell_operator(str(error), as_json="--json" in words)
        return EXIT_OPERATOR
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader, for example `head`, has seen enough; the interpreter must not flush again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno not in REFUSED:
            raise
        _tell_operator(f"{error.filename or 'writing'}: {error.strerror}; {REFUSED[error.errno]}", "--json" in words)
        return EXIT_OPERATOR


def overview() -> str:
    """The commands, each with what it is for, and where to begin."""
    lines = [
        f"usage: {PROGRAM} COMMAND [FLAGS]        {PROGRAM} COMMAND --help explains one command",
        "",
        "Agents that operate phones, desktops, web pages and games with a from-scratch Qwen2-VL.",
        "",
        *(f"  {name:<12}{purpose}" for name, purpose in COMMANDS.items()),
        "",
        "Begin with:",
        f"  {PROGRAM} run --task settings.toggle --seed 1      a bundled task on a virtual phone",
        f'  {PROGRAM} run --task "Open Settings"               a task in your own words',
        f"  {PROGRAM} doctor                                   what is missing, and how to mend it",
    ]
    return "\n".join(lines)


def read_command(words: Sequence[str]) -> Command:
    """The command that `words` ask for, its flags filled in.

    Raises:
        ConfigError: there is no such command.
        SystemExit: the flags are wrong (status 2), or only their explanation was asked for (status 0).
    """
    name, *flags = words
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(COMMANDS)}"
        raise ConfigError(f"there is no command {name!r}; {hint}")
    command_class: Any = importlib.import_module(f"qwen2vl_agent.commands.{name}").Command
    import tyro

    from qwen2vl_agent.commands.user_config import user_defaults, with_defaults

    description = inspect.cleandoc(command_class.__doc__)
    with_plain_flags = (tyro.conf.FlagCreatePairsOff,)  # `--json`, not `--json | --no-json`
    given: dict[str, Any] = {}
    # An episode goes on as its record says.
    if not any(flag.startswith("--resume") for flag in flags):
        given = user_defaults(name, command_class, COMMANDS)
    defaults = {"default": with_defaults(command_class, given, tyro.MISSING)} if given else {}
    return tyro.cli(
        command_class,
        prog=f"{PROGRAM} {name}",
        description=description,
        args=flags,
        config=with_plain_flags,
        **defaults,
    )


def _tell_operator(message: str, as_json: bool) -> None:
    line = " ".join(message.split())
    red = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    print(f"\x1b[31merror: {line}\x1b[0m" if red else f"error: {line}", file=sys.stderr)
    if as_json:
        print(json.dumps({"outcome": "error", "error": line}))
