"""A phone that goes away in the middle: waiting until it is back, and what becomes of what was being done."""

import time
from collections.abc import Callable
from typing import TypeVar

from qwen2vl_agent.envs import adb_server
from qwen2vl_agent.envs.adb_link import AdbLink, NotSent
from qwen2vl_agent.schema.errors import ActionVoid, DeviceLost

T = TypeVar("T")
PAUSE_S = 0.3
MOST_RETRIES = 2
"""How often something that fails is read again on a phone that answers."""


class Reconnecting:
    """Does things with a phone over a connection that may break."""

    def __init__(self, link: AdbLink, *, patience_s: float) -> None:
        """`patience_s` is how long a phone that went away is waited for; 0 for not at all."""
        self._link = link
        self._patience_s = patience_s
        self.reconnections = 0

    def look(self, read: Callable[[], T]) -> T:
        """Something that changes nothing: done again once the phone is back, a few times over.

        Raises:
            DeviceLost: it does not come back, or fails again.
        """
        for _ in range(MOST_RETRIES):
            try:
                return read()
            except DeviceLost as loss:
                self._wait(loss)
        return read()

    def act(self, send: Callable[[], T]) -> T:
        """Something that must not be done twice: done again only if nothing of it was sent.

        Raises:
            ActionVoid: the phone went away in the middle and is back; whether it was done is not known.
            DeviceLost: it does not come back.
        """
        try:
            return send()
        except NotSent as loss:
            self._wait(loss)
            return send()
        except DeviceLost as loss:
            self._wait(loss)
            raise ActionVoid(
                "the phone went away while this was done and is back now; look at the screen to see whether it was done"
            ) from None

    def _wait(self, loss: DeviceLost) -> None:
        """Until the phone takes commands again; one that is on a network is connected to anew."""
        deadline = time.monotonic() + self._patience_s
        serial = self._link.serial
        while time.monotonic() < deadline:
            try:
                states = {item.serial: item.state for item in adb_server.attached(self._link.client)}
                if states.get(serial) == "device" and self._link.answers():
                    self.reconnections += 1
                    return
                if ":" in serial:
                    adb_server.disconnect(serial)
                    adb_server.connect(self._link.client, serial)
            except DeviceLost:
                pass
            time.sleep(PAUSE_S)
        raise loss
