"""Making a gymnasium environment by its id, ready to be looked at without a display."""

import difflib
import importlib
import io
import os
import warnings
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from ctypes.util import find_library
from pathlib import Path
from typing import Any

import gymnasium

from qwen2vl_agent.schema.errors import ConfigError

PICTURES = "rgb_array"
PROVIDERS = {
    "BabyAI-": ("minigrid", "games"),
    "MiniGrid-": ("minigrid", "games"),
    "ALE/": ("ale_py", "games"),
    "Meta-World/": ("metaworld", "robot"),
    "Fetch": ("gymnasium_robotics", "robot"),
    "Hand": ("gymnasium_robotics", "robot"),
    "Adroit": ("gymnasium_robotics", "robot"),
    "PointMaze": ("gymnasium_robotics", "robot"),
    "AntMaze": ("gymnasium_robotics", "robot"),
    "FrankaKitchen": ("gymnasium_robotics", "robot"),
}
"""How ids begin whose module need not be named: the module, and the extra that installs it."""


def without_display() -> None:
    """Have MuJoCo and pygame draw in memory where there is no display; what the user chose stays."""
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    if "MUJOCO_GL" not in os.environ:
        on_gpu = Path("/dev/nvidia0").exists() and find_library("EGL")
        if on_gpu or not find_library("OSMesa"):
            os.environ["MUJOCO_GL"] = "egl"
        else:
            os.environ["MUJOCO_GL"] = "osmesa"


def find_spec(env_id: str, modules: Sequence[str] = ()) -> Any:
    """What gymnasium knows of an id; `module:Env-v0` and `modules` name what registers it.

    Raises:
        ConfigError: nothing registers it, and what to install or what was meant.
    """
    from qwen2vl_agent.envs.register import register_envs

    without_display()
    register_envs()
    named, _, env_id = env_id.rpartition(":")
    for module in (*modules, *filter(None, [named])):
        _import(module, "it is looked for from here with `python -m qwen2vl_agent`")
    for start, (module, extra) in PROVIDERS.items():
        if env_id.startswith(start):
            _import(module, f'pip install "qwen2vl-agent[{extra}]"')
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that there is a newer version: the one asked for is meant
            return gymnasium.spec(env_id)
    except (gymnasium.error.Error, ImportError) as error:
        near = difflib.get_close_matches(env_id, gymnasium.registry, 3)
        hint = f"did you mean {', '.join(near)}?" if near else "name what registers it with --import MODULE"
        raise ConfigError(f"gymnasium knows no environment {env_id!r} ({_line(error)}); {hint}") from error


def make_raw(env_id: str, kwargs: dict[str, Any], modules: Sequence[str] = ()) -> Any:
    """The environment of an id, drawing pictures where it can.

    Raises:
        ConfigError: it cannot be made, and why.
    """
    spec = find_spec(env_id, modules)
    if spec.entry_point is None:
        raise ConfigError(f"{env_id} is a vector of environments and none alone; name one of those that it is made of")
    wanted = dict(kwargs)
    wanted.setdefault("render_mode", PICTURES)
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            env = _made(spec, wanted)
        except gymnasium.error.DependencyNotInstalled as error:
            raise ConfigError(f"{env_id} needs more than is installed: {_line(error)}") from error
        except Exception as error:
            lacking = isinstance(error, TypeError) and "required positional" in str(error)
            hint = "; give what is missing with --env-kwargs" if lacking else ""
            raise ConfigError(f"{env_id} cannot be made: {type(error).__name__}: {_line(error)}{hint}") from error
    return env


def _made(spec: Any, kwargs: dict[str, Any]) -> Any:
    """Made without gymnasium's checks of every step, and without pictures of its own where it takes no such flag."""
    try:
        return gymnasium.make(spec, disable_env_checker=True, **kwargs)
    except TypeError as error:
        if "render_mode" not in str(error):
            raise
        kwargs.pop("render_mode")
        return gymnasium.make(spec, disable_env_checker=True, **kwargs)


def _import(module: str, remedy: str) -> None:
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):  # there notices for other users are printed
            warnings.simplefilter("ignore")
            importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(f"the module {module} cannot be imported ({_line(error)}): {remedy}") from error
    if module == "ale_py":
        gymnasium.register_envs(importlib.import_module(module))


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
