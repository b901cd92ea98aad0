"""What `run` operates: one opener for each `--device`."""

import importlib
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal

DeviceName = Literal["android", "desktop", "browser", "gym"]
OPENERS = {
    "android": "qwen2vl_agent.commands.phones:phone_at_hand",
    "browser": "qwen2vl_agent.commands.browsers:browser_at_hand",
    "desktop": "qwen2vl_agent.commands.desktops:desktop_at_hand",
    "gym": "qwen2vl_agent.commands.gyms:gym_at_hand",
}
"""Context managers that take a `Wish` and give an `AtHand`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What a command was told about the device to operate."""

    device: DeviceName = "android"
    serial: str = ""
    seed: int = 1
    dry_run: bool = False
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


def device_at_hand(wish: Wish) -> AbstractContextManager[AtHand]:
    """The device to operate; what was started for it ends with the block.

    Raises:
        DeviceLost: it is not there or not ready.
        ConfigError: this version or this machine cannot operate it.
    """
    module, _, opener = OPENERS[wish.device].partition(":")
    context: AbstractContextManager[AtHand] = getattr(importlib.import_module(module), opener)(wish)
    return context
