"""What several commands' flags mean."""

import difflib
import os
import time
import tomllib
import typing
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

from qwen2vl_agent.agent.loading import Compute, Dtype, LoadSettings, Quantize
from qwen2vl_agent.commands.user_config import fitted
from qwen2vl_agent.schema.errors import ConfigError

PolicyName = Literal["model", "oracle", "random", "noop"]
RUNS = Path("runs")


def out_folder(out: Path | None, name: str) -> Path:
    """The folder that was asked for, or a new one below `runs/`, named by the time and `name`."""
    if out is not None:
        return out
    plain = "".join(letter if letter.isalnum() or letter in ".-_" else "-" for letter in name)[:40]
    wanted = RUNS / f"{time.strftime('%Y%m%d-%H%M%S')}-{plain}"
    return wanted if not wanted.exists() else wanted.with_name(f"{wanted.name}-{os.getpid()}")


def worker_count(workers: int | None, parallel: int = 1) -> int:
    """The number of processes that was asked for, or one for each core; one where episodes share a process.

    Raises:
        ConfigError: fewer than one.
    """
    if workers is not None and workers < 1:
        raise ConfigError(f"--workers is {workers}; expected at least 1")
    return workers or (1 if parallel > 1 else os.cpu_count() or 1)


def at_least_one(flag: str, value: int) -> int:
    """The value of a flag that counts something.

    Raises:
        ConfigError: it is below 1.
    """
    if value < 1:
        raise ConfigError(f"{flag} is {value}; expected at least 1")
    return value


class Loading(Protocol):
    """A command with the flags that say how a model is to be loaded."""

    @property
    def dtype(self) -> Dtype: ...
    @property
    def compute(self) -> Compute: ...
    @property
    def max_pixels(self) -> int | None: ...
    @property
    def quantize(self) -> Quantize: ...
    @property
    def quantize_vision(self) -> bool: ...


def load_settings(flags: Loading, threads: int | None = None) -> LoadSettings:
    """How a model is to be loaded.

    Raises:
        ConfigError: a number that makes no sense.
    """
    try:
        return LoadSettings(
            dtype=flags.dtype,
            compute=flags.compute,
            max_pixels=flags.max_pixels,
            quantize=flags.quantize,
            quantize_vision=flags.quantize_vision,
            threads=threads,
        )
    except ValueError as error:
        raise ConfigError(f"--{str(error).replace('_', '-')}") from error


def sampling(constrained: bool, speculate: bool) -> dict[str, Any]:
    """Fields of the agent's `SamplingConfig` that two switches change; nothing where both are on, as usual."""
    off = {"constrained": False} if not constrained else {}
    return off if speculate else {**off, "draft_tokens": 0}


def read_overrides(settings: tuple[str, ...], flag: str = "--set") -> dict[str, str]:
    """`("seed=3",)` as `{"seed": "3"}`; whoever takes them knows the fields' types.

    Raises:
        ConfigError: one is not FIELD=VALUE.
    """
    overrides = {}
    for setting in settings:
        field, equals, value = setting.partition("=")
        if not (field and equals):
            raise ConfigError(f"{flag} {setting}: expected FIELD=VALUE, for example {flag} seed=3")
        overrides[field] = value
    return overrides


def agent_settings(given: tuple[str, ...]) -> dict[str, Any]:
    """Fields of `AgentConfig` from `--set FIELD=VALUE`; values are TOML, words as they are, and `none`.

    Raises:
        ConfigError: no such field, or a value that it does not take.
    """
    from qwen2vl_agent.agent.settings import AgentConfig

    return settings_of(AgentConfig, typing.get_type_hints(AgentConfig), given, "--set", "the agent")


def settings_of(kind: type, fields: Collection[str], given: tuple[str, ...], flag: str, whose: str) -> dict[str, Any]:
    """Some of the `fields` of a config from `FLAG FIELD=VALUE`; values are TOML, words as they are, and `none`.

    Raises:
        ConfigError: no such field, or a value that it does not take.
    """
    hints = typing.get_type_hints(kind)
    values: dict[str, Any] = {}
    for field, text in read_overrides(given, flag).items():
        if field not in fields:
            near = difflib.get_close_matches(field, fields, n=1)
            told = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(fields)}"
            raise ConfigError(f"{flag} {field}: {whose} has no such setting; {told}")
        optional = type(None) in get_args(hints[field])
        values[field] = None if optional and text == "none" else fitted(_toml(text), hints[field], f"{flag} {field}")
    try:
        kind(**values)
    except ValueError as error:
        raise ConfigError(f"{flag} {error}") from error
    return values


def _toml(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
