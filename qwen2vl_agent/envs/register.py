"""Names of environments, and the one place that builds them."""

import copy
import importlib
from typing import Any

import gymnasium

from qwen2vl_agent.schema.errors import ConfigError

ENTRY_POINTS = {
    "qwen2vl_agent/VirtualPhone-v0": "qwen2vl_agent.envs.register:virtual_phone_env",
    "qwen2vl_agent/Android-v0": "qwen2vl_agent.envs.register:android_env",
    "qwen2vl_agent/Browser-v0": "qwen2vl_agent.envs.browser.env:browser_env",
    "qwen2vl_agent/Desktop-v0": "qwen2vl_agent.envs.desktop.env:desktop_env",
    "qwen2vl_agent/MiniWoB-v0": "qwen2vl_agent.envs.miniwob.env:miniwob_env",
    "qwen2vl_agent/Gym-v0": "qwen2vl_agent.envs.gym.env:gym_env",
}
"""gymnasium ids of environments for agents; the entry points are loaded when an environment is made."""
TIMED = frozenset({"qwen2vl_agent/Android-v0", "qwen2vl_agent/Browser-v0", "qwen2vl_agent/Desktop-v0"})
"""Those that live in the wall clock's time: an episode cannot be repeated to the last bit."""
SHORT_NAMES = {
    "virtual-phone": "qwen2vl_agent/VirtualPhone-v0",
    "android": "qwen2vl_agent/Android-v0",
    "browser": "qwen2vl_agent/Browser-v0",
    "desktop": "qwen2vl_agent/Desktop-v0",
    "miniwob": "qwen2vl_agent/MiniWoB-v0",
    "gym": "qwen2vl_agent/Gym-v0",
}
PLAIN_ENVS = {
    "qwen2vl_agent/NumberLine-v0": "qwen2vl_agent.envs.cards.number_line:NumberLineEnv",
    "qwen2vl_agent/EZPoint-v0": "qwen2vl_agent.envs.cards.points:EZPointEnv",
    "qwen2vl_agent/Point24-v0": "qwen2vl_agent.envs.cards.points:Point24Env",
    "qwen2vl_agent/Blackjack-v0": "qwen2vl_agent.envs.cards.blackjack:BlackjackEnv",
    "qwen2vl_agent/FetchReach-v0": "qwen2vl_agent.envs.gym.fetch_views:TwoViewReachEnv",
    "qwen2vl_agent/FrozenLake-v0": "qwen2vl_agent.envs.gym.lake:RandomLakeEnv",
    "qwen2vl_agent/Sokoban-v0": "qwen2vl_agent.envs.sokoban.env:SokobanEnv",
}
"""gymnasium ids of our environments with numbered actions, which `Gym-v0` gives to agents as it gives any other."""


def register_envs() -> None:
    """Tell gymnasium of our environments; a second time changes nothing."""
    for name, entry_point in (ENTRY_POINTS | PLAIN_ENVS).items():
        if name not in gymnasium.registry:
            gymnasium.register(name, entry_point=entry_point, nondeterministic=name in TIMED)


def make_env(name: str = "virtual-phone", **options: Any) -> Any:
    """The environment of this name (see `SHORT_NAMES`) or gymnasium id: an `AgentEnv`.

    Options: `seed`, `task` (an id or free text), `split`, `max_steps`, `end_when_solved`, `ask_user`, `blind` (grey
    screens), `dry_run`, `observe` (`screen`, `video` or `clip`), `size` and `edition` (`first`, `full`, `full-zh`,
    `full-ja`, `full-ar`) of a virtual phone; for `android` also `serial`; for `browser`, `desktop` and `miniwob` see
    `env.py` in their folders. For `gym` those of `GymConfig`: `env_id` (any gymnasium environment), `env_kwargs`, ….

    Raises:
        ConfigError: unknown name or option.
        DeviceLost: the phone is not there or not ready.
    """
    env_id = SHORT_NAMES.get(name, name)
    if env_id in PLAIN_ENVS:
        env_id, options = SHORT_NAMES["gym"], {"env_id": env_id, **options}
    if env_id not in ENTRY_POINTS:
        raise ConfigError(f"there is no environment {name!r}; expected {', '.join((*SHORT_NAMES, *ENTRY_POINTS))}")
    module, _, builder = ENTRY_POINTS[env_id].partition(":")
    env = getattr(importlib.import_module(module), builder)(**options)
    env.spec = copy.copy(gymnasium.spec(env_id))
    env.spec.kwargs = dict(options)
    return env


def virtual_phone_env(
    *, size: tuple[int, int] = (1080, 2400), seed: int | None = None, edition: str = "first", **options: Any
) -> Any:
    """A virtual phone in this process; without a task every episode has a random one."""
    from qwen2vl_agent.envs.virtual_phone.app_list import check_edition
    from qwen2vl_agent.envs.virtual_phone.device import VirtualPhoneDevice
    from qwen2vl_agent.envs.virtual_phone.phone import VirtualPhone
    from qwen2vl_agent.envs.virtual_phone.state import random_state
    from qwen2vl_agent.envs.virtual_phone.words import Words

    check_edition(edition)
    phone = VirtualPhone(random_state(seed or 0, Words.test(), edition), (int(size[0]), int(size[1])))
    return screen_env(VirtualPhoneDevice(phone), seed=seed, fresh=True, **options)


def android_env(
    *,
    serial: str | None = None,
    size: tuple[int, int] = (1080, 2400),
    seed: int | None = None,
    edition: str = "first",
    **options: Any,
) -> Any:
    """A phone over adb: the one named, else the one attached, else a virtual one of our own."""
    from qwen2vl_agent.envs.phones import open_phone

    opened = open_phone(serial, seed=seed or 0, size=(int(size[0]), int(size[1])), edition=edition)
    try:
        return screen_env(opened.device, seed=seed, **options)
    except BaseException:
        opened.device.close()
        raise


def screen_env(
    device: Any,
    *,
    tasks: Any = None,
    tools: tuple[type, ...] | None = None,
    ask_user: Any = None,
    blind: bool = False,
    dry_run: bool = False,
    secrets: Any = None,
    render_mode: str | None = None,
    **config: Any,
) -> Any:
    """A `ScreenEnv` of a device with the options that `make_env` takes.

    `secrets` are those of `envs/secrets.py`, to be filled in at the device. `tasks` makes the device's `TaskSet` of the
    device as it is wrapped; None: a phone's. `tools`: None for a phone's.
    """
    from qwen2vl_agent.envs.screen import ScreenConfig, ScreenEnv
    from qwen2vl_agent.envs.secrets import SecretFiller
    from qwen2vl_agent.envs.wrappers import DryRun, GreyScreens

    try:
        checked = ScreenConfig(**{name: value for name, value in config.items() if value is not None})
    except (TypeError, ValueError) as error:
        raise ConfigError(f"an environment cannot be made so: {error}") from None
    device = DryRun(device) if dry_run else device
    device = SecretFiller(device, secrets) if secrets is not None else device
    device = GreyScreens(device) if blind else device
    own = {} if tools is None else {"tools": tools}
    task_set = tasks(device) if tasks else None
    return ScreenEnv(device, checked, tasks=task_set, ask_user=ask_user, render_mode=render_mode, **own)
