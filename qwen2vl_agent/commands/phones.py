"""Which phone `run` operates: the one named, the one attached, or a virtual one behind adb's real server."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qwen2vl_agent.schema.errors import DeviceLost

if TYPE_CHECKING:
    from qwen2vl_agent.envs.virtual_phone.server import PhoneProcess

VIRTUAL = "virtual"
"""The serial that asks for a virtual phone whatever is attached."""
OWN_PORTS = range(28000, 29000)
"""Ports of the virtual phones that `run` starts for itself: another `run` at the same time must not take them."""
PORTS_TRIED = 20


@dataclass(frozen=True, slots=True)
class OpenedPhone:
    """A phone ready to be operated."""

    env: Any
    serial: str
    virtual: bool
    introduction: str
    """Which phone it is and why, for people."""


@contextmanager
def open_phone(serial: str, seed: int, dry_run: bool = False) -> Iterator[OpenedPhone]:
    """The phone to operate, as an environment; a virtual phone started for it ends with the block.

    Raises:
        DeviceLost: it is not there, not ready, or there are several to choose from.
    """
    from qwen2vl_agent.envs.adb_server import adb_client
    from qwen2vl_agent.envs.android import AndroidDevice
    from qwen2vl_agent.envs.phones import OwnPhone
    from qwen2vl_agent.envs.screen import ScreenConfig, ScreenEnv
    from qwen2vl_agent.envs.wrappers import DryRun

    client = adb_client()
    wanted = serial or _attached(client)
    device: Any
    if wanted in ("", VIRTUAL):
        device = OwnPhone(_own_process(seed), client)
        why = "as asked" if wanted else "no phone is attached"
        introduction = f"{why}: a virtual phone is started, behind adb as {device.serial}"
    else:
        device = AndroidDevice(wanted, client=client)
        introduction = f"the {'virtual ' if device.virtual else ''}phone {device.serial} is used"
    try:
        env = ScreenEnv(DryRun(device) if dry_run else device, ScreenConfig(seed=seed))
        told = f"{introduction}; dry run: no action is sent to it" if dry_run else introduction
        yield OpenedPhone(env, device.serial, device.virtual, told)
    finally:
        device.close()


def _attached(client: Any) -> str:
    """The serial of the one phone that is there for us, empty where there is none.

    What other runs have started for themselves does not count.

    Raises:
        DeviceLost: there are several.
    """
    from qwen2vl_agent.envs.adb_server import attached

    known = [phone for phone in attached(client) if not _is_own(phone.serial)]
    usable = [phone for phone in known if phone.ready] or known
    if len(usable) > 1:
        listing = ", ".join(f"{phone.serial} ({phone.state})" for phone in usable)
        raise DeviceLost(f"several phones are attached: {listing}; choose one with --serial, or --serial {VIRTUAL}")
    return usable[0].serial if usable else ""


def _is_own(serial: str) -> bool:
    host, _, port = serial.rpartition(":")
    return host == "127.0.0.1" and port.isdecimal() and int(port) in OWN_PORTS


def _own_process(seed: int) -> "PhoneProcess":
    """A virtual phone on one of our own ports.

    Raises:
        DeviceLost: none came up.
    """
    from qwen2vl_agent.envs.virtual_phone.server import start_virtual_phone

    ports = random.sample(OWN_PORTS, PORTS_TRIED)
    for port in ports[:-1]:
        try:
            return start_virtual_phone(seed, port=port)
        except DeviceLost:
            continue
    return start_virtual_phone(seed, port=ports[-1])
