"""What `run` operates: one opener for each `--device`."""

import importlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal

from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.schema.observation import Observe

DeviceName = Literal["android", "desktop", "browser", "gym"]
OPENERS = {
    "android": "qwen2vl_agent.commands.phones:phone_at_hand",
    "browser": "qwen2vl_agent.commands.browsers:browser_at_hand",
    "desktop": "qwen2vl_agent.commands.desktops:desktop_at_hand",
    "gym": "qwen2vl_agent.commands.gyms:gym_at_hand",
}
"""Context managers that take a `Wish` and give an `AtHand`."""


OWN_FLAGS = {
    "android": {"capture": "--capture", "consent": "--consent", "more_actions": "--more-actions"},
    "gym": {"env_id": "--env-id", "env_kwargs": "--env-kwargs", "env_set": "--env-set", "import_modules": "--import"},
    "desktop": {"virtual": "--virtual", "display": "--display"},
    "browser": {"url": "--url", "allow": "--allow", "downloads": "--downloads"},
}
"""Flags of `run` that one device only takes, by field."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What a command was told about the device to operate."""

    device: DeviceName = "android"
    serial: str = ""
    seed: int = 1
    dry_run: bool = False
    observe: Observe = "screen"
    tasks: tuple[str, ...] = ()
    """What is to be done there."""
    options: dict[str, Any] = field(default_factory=dict)
    """What else this device takes: flags of its own, by name."""


@dataclass(frozen=True, slots=True)
class AtHand:
    """A device ready to be operated."""

    env: Any
    """An `AgentEnv`."""
    introduction: str
    """Which device it is, for people."""
    serial: str = ""
    virtual: bool = True
    """Whether nothing of the user's own is touched."""
    own: bool = True
    """Whether it was started for this and ends with it."""
    pid: int = 0
    """The process that was started for it; 0 where there is none."""


def wish_of(flags: Any, tasks: Sequence[str]) -> Wish:
    """What the flags of `run` ask for; `tasks` are those to be done.

    Raises:
        ConfigError: a flag of another device is given.
    """
    for device, names in OWN_FLAGS.items():
        if device != flags.device and any(getattr(flags, name) for name in names):
            *first, last = names.values()
            raise ConfigError(f"{', '.join(first)} and {last} belong to --device {device}")
    options = {name: value for name in OWN_FLAGS.get(flags.device, ()) if (value := getattr(flags, name))}
    return Wish(
        device=flags.device,
        serial=flags.serial,
        seed=flags.seed,
        dry_run=flags.dry_run,
        observe=flags.observe,
        tasks=tuple(tasks),
        options=options,
    )


def device_at_hand(wish: Wish) -> AbstractContextManager[AtHand]:
    """The device to operate; what was started for it ends with the block.

    Raises:
        DeviceLost: it is not there or not ready.
        ConfigError: this version or this machine cannot operate it.
    """
    module, _, opener = OPENERS[wish.device].partition(":")
    context: AbstractContextManager[AtHand] = getattr(importlib.import_module(module), opener)(wish)
    return context
