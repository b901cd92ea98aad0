"""The user's own defaults: a TOML file with a section for each command and its flags' names as keys.

[run]
serial = "R58M123ABC"
model = "http://127.0.0.1:8000/v1"
max-steps = 40

[serve]
port = 9000

What is written on the command line comes first. The file is `qwen2vl-agent/config.toml` in `$XDG_CONFIG_HOME` or
`~/.config`, or whatever `$QWEN2VL_AGENT_CONFIG` names; empty, that variable means none.
"""

import dataclasses
import difflib
import os
import tomllib
import types
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from qwen2vl_agent.schema.errors import ConfigError

VARIABLE = "QWEN2VL_AGENT_CONFIG"
NOT_DEFAULTS = ("resume", "json")
"""Flags that say what is wanted this once."""


def config_path() -> Path | None:
    """Where the file is; None where there is none."""
    if VARIABLE in os.environ:
        named = os.environ[VARIABLE]
        return Path(named).expanduser() if named else None
    root = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    path = Path(root).expanduser() / "qwen2vl-agent" / "config.toml"
    return path if path.is_file() else None


def user_defaults(command: str, command_class: type, commands: Iterable[str]) -> dict[str, Any]:
    """The fields of a command that the user's file sets.

    Raises:
        ConfigError: the file cannot be read, or has a section, key or value that fits no flag.
    """
    path = config_path()
    if path is None:
        return {}
    sections = _sections(path, list(commands))
    fields = {item.name: item for item in dataclasses.fields(command_class)}
    hints = typing.get_type_hints(command_class)
    values = {}
    for key, value in sections.get(command, {}).items():
        name = key.replace("-", "_")
        where = f"{path}: {command}.{key}"
        if name not in fields or name in NOT_DEFAULTS:
            possible = [field.replace("_", "-") for field in fields if field not in NOT_DEFAULTS]
            raise ConfigError(f"{where} is no flag that has a default{_near(key, possible)}")
        values[name] = fitted(value, hints[name], where)
    return values


def with_defaults(command_class: type, values: dict[str, Any], missing: Any) -> Any:
    """A command with these defaults; `missing` stands for what has none."""
    needed = {
        item.name: missing
        for item in dataclasses.fields(command_class)
        if item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
    }
    return command_class(**{**needed, **values})


def fitted(value: Any, hint: Any, where: str) -> Any:
    """The value as a field of this type takes it.

    Raises:
        ConfigError: it does not fit.
    """
    if get_origin(hint) is typing.Annotated:
        hint = get_args(hint)[0]
    if get_origin(hint) in (Union, types.UnionType):
        (hint,) = [kind for kind in get_args(hint) if kind is not type(None)]
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise ConfigError(f"{where} is {value!r}; expected one of {', '.join(map(str, get_args(hint)))}")
        return value
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise ConfigError(f"{where} is {value!r}; expected a list")
        return tuple(fitted(item, get_args(hint)[0], where) for item in value)
    kinds = {Path: (str, "a path"), str: (str, "a string"), bool: (bool, "true or false"), int: (int, "a whole number")}
    wanted, told = kinds.get(hint, ((int, float), "a number"))
    if not isinstance(value, wanted) or (isinstance(value, bool) and hint is not bool):
        raise ConfigError(f"{where} is {value!r}; expected {told}")
    if hint is Path:
        return Path(str(value)).expanduser()
    return float(str(value)) if hint is float else value


def _sections(path: Path, commands: list[str]) -> dict[str, dict[str, Any]]:
    try:
        sections = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} cannot be read as the user's settings ({error})") from error
    for name, section in sections.items():
        if name not in commands or not isinstance(section, dict):
            raise ConfigError(f"{path}: {name!r} is no section for a command{_near(name, commands)}")
    return sections


def _near(word: str, possible: list[str]) -> str:
    near = difflib.get_close_matches(word, possible, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(possible)}"
