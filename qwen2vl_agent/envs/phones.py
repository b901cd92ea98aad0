"""Getting hold of a phone: one that is attached, or a virtual one of our own behind the same adb server."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import adbutils

from qwen2vl_agent.envs import adb_server
from qwen2vl_agent.envs.android import PIN_VARIABLE, AndroidDevice
from qwen2vl_agent.envs.virtual_phone.app_list import check_edition
from qwen2vl_agent.envs.virtual_phone.faults import Faults
from qwen2vl_agent.envs.virtual_phone.server import PhoneProcess, start_virtual_phone
from qwen2vl_agent.schema.observation import CaptureName

SIZE = (1080, 2400)


@dataclass(frozen=True, slots=True)
class OpenedPhone:
    """A phone, and in words which one it is."""

    device: Any
    description: str


class OwnPhone(AndroidDevice):
    """A virtual phone that was started for this device and ends with it."""

    def __init__(self, process: PhoneProcess, client: adbutils.AdbClient, capture: CaptureName | None = None) -> None:
        self._process = process
        try:
            super().__init__(adb_server.connect(client, process.serial), client=client, capture=capture)
        except BaseException:
            self._end()
            raise

    @property
    def pid(self) -> int:
        """Of the phone's process."""
        return self._process.process.pid

    def close(self) -> None:
        """End the phone, and have the adb server forget it."""
        self.capture.close()
        self._end()

    def __enter__(self) -> "OwnPhone":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _end(self) -> None:
        self._process.close()
        adb_server.disconnect(self._process.serial)


def open_phone(
    serial: str | None = None,
    *,
    seed: int = 0,
    size: tuple[int, int] = SIZE,
    faults: Faults | None = None,
    edition: str = "first",
    capture: CaptureName | None = None,
    consent: Callable[[str], bool] | None = None,
) -> OpenedPhone:
    """The phone of this serial, else the one attached, else a virtual phone in a process of its own.

    `capture` and `consent` are `AndroidDevice`'s.

    Raises:
        DeviceLost: the phone named is not there or not ready, or several are attached.
    """
    client = adb_server.adb_client()
    if serial is not None or adb_server.available(client):
        device = AndroidDevice(serial, client=client, capture=capture, consent=consent)
        device.wake(os.environ.get(PIN_VARIABLE, ""))
        kind = "virtual phone" if device.virtual else "phone"
        return OpenedPhone(device, f"{kind} {device.serial}")
    own = open_virtual_phone(seed=seed, size=size, faults=faults, edition=edition, capture=capture)
    return OpenedPhone(own, "virtual phone (no phone is attached)")


def open_virtual_phone(
    *,
    seed: int = 0,
    size: tuple[int, int] = SIZE,
    faults: Faults | None = None,
    edition: str = "first",
    capture: CaptureName | None = None,
) -> OwnPhone:
    """A virtual phone of our own, driven over the real adb server."""
    check_edition(edition)
    client = adb_server.adb_client()
    return OwnPhone(start_virtual_phone(seed, size=size, faults=faults, edition=edition), client, capture)
