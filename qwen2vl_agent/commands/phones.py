"""Which phone `run` operates: the one named, the one attached, or a virtual one behind adb's real server."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

VIRTUAL = "virtual"
"""The serial that asks for a virtual phone whatever is attached."""


@dataclass(frozen=True, slots=True)
class PhoneAtHand:
    """A phone ready to be operated."""

    env: Any
    serial: str
    virtual: bool
    introduction: str
    """Which phone it is, for people."""
    own: bool = False
    """Whether it is a virtual phone that was started for this and ends with it."""


@contextmanager
def phone_at_hand(serial: str, seed: int, dry_run: bool = False) -> Iterator[PhoneAtHand]:
    """The phone to operate, as an environment; a virtual phone that was started for it ends with the block.

    Raises:
        DeviceLost: it is not there, not ready, or there are several to choose from.
    """
    from qwen2vl_agent.envs.phones import OpenedPhone, OwnPhone, open_phone, open_virtual_phone
    from qwen2vl_agent.envs.screen import ScreenConfig, ScreenEnv
    from qwen2vl_agent.envs.wrappers import DryRun

    if serial == VIRTUAL:
        opened = OpenedPhone(open_virtual_phone(seed=seed), "virtual phone (as asked)")
    else:
        opened = open_phone(serial or None, seed=seed)
    device = opened.device
    try:
        env = ScreenEnv(DryRun(device) if dry_run else device, ScreenConfig(seed=seed))
        own = isinstance(device, OwnPhone)
        where = f", which adb's server has as {device.serial}" if own else ""
        told = f"on the {opened.description}{where}" + ("; dry run: no action is sent" if dry_run else "")
        yield PhoneAtHand(env, device.serial, device.virtual, told, own)
    finally:
        device.close()
