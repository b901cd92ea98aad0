"""A gymnasium environment that is open: how it is made and looked at, and how its code is called."""

import io
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import Any

import numpy as np

from qwen2vl_agent.envs.gym.adapter import Adapter, adapter_class
from qwen2vl_agent.envs.gym.cameras import look_from
from qwen2vl_agent.envs.gym.catalogue import Entry
from qwen2vl_agent.envs.gym.config import GymConfig
from qwen2vl_agent.envs.gym.control import Control
from qwen2vl_agent.envs.gym.making import make_raw
from qwen2vl_agent.envs.gym.pictures import Pictures
from qwen2vl_agent.schema.errors import ConfigError, DeviceLost


@dataclass(frozen=True, slots=True)
class Opened:
    """An environment that is open, and what was found out about it."""

    key: str
    """What it was made from."""
    env: Any
    env_id: str
    adapter: Adapter
    pictures: Pictures
    control: Control

    def serves(self, entry: Entry, config: GymConfig, seed: int | None) -> bool:
        """Whether an episode of `entry` can begin in it as it is."""
        return self.key == _key(entry, config) and not (self.adapter.seeded_when_made and seed is not None)


def open_entry(entry: Entry, config: GymConfig, seed: int | None) -> Opened:
    """Make the environment of `entry`, with the seed where it is drawn when it is made.

    Raises:
        ConfigError: it cannot be made or used, and why.
    """
    kwargs = {**entry.env_kwargs, **config.env_kwargs}
    env = _made(entry.env_id, kwargs, config)
    try:
        adapter = adapter_class(env)(env, entry.env_id)
        if adapter.seeded_when_made and seed is not None and "seed" not in kwargs:
            env.close()
            env = _made(entry.env_id, {**kwargs, "seed": seed}, config)
            adapter = type(adapter)(env, entry.env_id)
        pictures = Pictures(env, entry.env_id)
        control = adapter.control(config.levels or entry.levels)
    except BaseException:
        env.close()
        raise
    return Opened(_key(entry, config), env, entry.env_id, adapter, pictures, control)


def _key(entry: Entry, config: GymConfig) -> str:
    kwargs = {**entry.env_kwargs, **config.env_kwargs}
    return repr((entry.env_id, sorted(kwargs.items()), entry.levels, config.camera))


def _made(env_id: str, kwargs: dict[str, Any], config: GymConfig) -> Any:
    env = make_raw(env_id, kwargs, config.modules)
    try:
        if config.camera:
            look_from(env, env_id, config.camera)
    except BaseException:
        env.close()
        raise
    return env


@contextmanager
def called(env_id: str, call: str) -> Iterator[None]:
    """A call of somebody else's code: what it prints is left out, for results are printed here.

    Raises:
        DeviceLost: it raised; one line for the operator, the error itself its cause.
    """
    try:
        with redirect_stdout(io.StringIO()):
            yield
    except ConfigError:
        raise
    except Exception as error:
        words = " ".join(str(error).split())[:300]
        raise DeviceLost(f"{env_id} failed in {call}: {type(error).__name__}: {words}") from error


def plain(raw: Any) -> Any:
    """What was sent, as JSON can hold it."""
    if isinstance(raw, dict):
        return {str(key): plain(value) for key, value in raw.items()}
    if isinstance(raw, tuple | list):
        return [plain(value) for value in raw]
    return raw.tolist() if isinstance(raw, np.ndarray | np.generic) else raw
