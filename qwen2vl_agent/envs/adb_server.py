"""The adb server on this machine: which binary, starting it, and which phones it has."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import adbutils
from adbutils.errors import AdbError

from qwen2vl_agent.envs.virtual_phone.adbd import PRIVATE_MODEL
from qwen2vl_agent.schema.errors import ConfigError, DeviceLost

USB_BUS = Path("/dev/bus/usb")
LOCAL = ("127.0.0.1", "localhost", "::1")
START_LIMIT_S = 30.0
START_TRIES, START_PAUSE_S = 3, 0.5
"""Where several start it at once, one gets the port, and adb fails for the others; the next time it is there."""
CONNECT_LIMIT_S = 10.0
WHAT_TO_DO = {
    "offline": "unplug and replug it, or `adb disconnect` and `adb connect` it again",
    "unauthorized": "unlock it and accept this computer's key in the dialog on its screen",
    "authorizing": "unlock it and accept this computer's key in the dialog on its screen",
    "no": "this user may not open the USB device: install the udev rules (package "
    "android-sdk-platform-tools-common) and replug it",
    "recovery": "reboot it into Android",
    "bootloader": "reboot it into Android",
    "sideload": "reboot it into Android",
}
"""What helps a phone in each state of `adb devices` that is not `device`."""


@dataclass(frozen=True, slots=True)
class Attached:
    """A line of `adb devices`."""

    serial: str
    state: str
    private: bool = False
    """A virtual phone that some process started for itself: nobody else's to take."""

    @property
    def ready(self) -> bool:
        """Whether it takes commands."""
        return self.state == "device"


def adb_path() -> str:
    """The adb binary: `$ADBUTILS_ADB_PATH`, else `adb` in PATH, else the one that adbutils carries.

    Raises:
        ConfigError: there is none.
    """
    chosen = os.environ.get("ADBUTILS_ADB_PATH")
    if chosen and not Path(chosen).is_file():
        raise ConfigError(f"ADBUTILS_ADB_PATH names {chosen}, where there is no file; unset it or correct it")
    try:
        return str(adbutils.adb_path())
    except AdbError:
        raise ConfigError("no adb was found; install Android's platform-tools, or `pip install adbutils`") from None


def adb_client() -> adbutils.AdbClient:
    """A client of the server at `$ANDROID_ADB_SERVER_HOST` and `$ANDROID_ADB_SERVER_PORT`.

    Unless set, that is port 5037 of this machine. A server on this machine is started if need be.

    Raises:
        DeviceLost: the server does not start, or another machine's does not answer.
    """
    client = adbutils.AdbClient()
    if client.host not in LOCAL:
        try:
            with socket.create_connection((client.host, client.port), CONNECT_LIMIT_S):
                return client
        except OSError as error:
            raise DeviceLost(
                f"no adb server answers at {client.host}:{client.port} ({error}); start it there with "
                "`adb -a nodaemon server start`, or unset ANDROID_ADB_SERVER_HOST"
            ) from None
    for tries_left in reversed(range(START_TRIES)):
        try:
            _start(client.port)
            break
        except (OSError, subprocess.SubprocessError) as error:
            if not (tries_left and isinstance(error, subprocess.CalledProcessError)):
                detail = (getattr(error, "stderr", b"") or b"").decode(errors="replace").strip()
                raise DeviceLost(f"the adb server does not start on port {client.port}: {detail or error}") from None
            time.sleep(START_PAUSE_S)
    return client


def _start(port: int) -> None:
    environment = dict(os.environ)
    if sys.platform == "linux" and not USB_BUS.exists():
        environment.setdefault("ADB_USB", "0")  # without a bus it would wait three seconds for one
    command = [adb_path(), "-P", str(port), "start-server"]
    subprocess.run(command, capture_output=True, check=True, timeout=START_LIMIT_S, env=environment)


def attached(client: adbutils.AdbClient) -> list[Attached]:
    """All phones that the server knows, in any state.

    Raises:
        DeviceLost: the server does not answer.
    """
    try:
        return [
            Attached(info.serial, info.state, info.tags.get("model") == PRIVATE_MODEL)
            for info in client.list(extended=True)
        ]
    except (AdbError, OSError) as error:
        raise DeviceLost(f"the adb server on port {client.port} does not answer: {error}") from None


def _left_over(item: Attached) -> bool:
    """Whether this is what a virtual phone leaves in the server's list when it goes."""
    return item.serial.startswith("127.0.0.1:") and item.state == "offline"


def available(client: adbutils.AdbClient) -> bool:
    """Whether any phone is attached that could be meant without naming it, ready or not."""
    return any(not (item.private or _left_over(item)) for item in attached(client))


def connect(client: adbutils.AdbClient, address: str) -> str:
    """Have the server connect to a phone over TCP, and give its serial.

    Raises:
        DeviceLost: it cannot be reached.
    """
    try:
        answer = client.connect(address, timeout=CONNECT_LIMIT_S)
        if "connected to" in answer and "unable" not in answer and "failed" not in answer:
            client.wait_for(address, timeout=CONNECT_LIMIT_S)
            return address
    except (AdbError, OSError) as error:
        answer = str(error)
    raise DeviceLost(f"no phone answers at {address}: {answer}")


def pair(address: str, code: str) -> str:
    """Have the adb server and a phone that shows a pairing code know each other; what adb says of it.

    Raises:
        ConfigError: the address or the code cannot be one.
        DeviceLost: they did not pair.
    """
    if not re.fullmatch(r"[^\s:]+:\d{1,5}", address):
        raise ConfigError(f"{address!r} is no address; the phone shows one as 192.168.1.20:37123 beside the code")
    if not re.fullmatch(r"\d{6}", code):
        raise ConfigError("the pairing code is the six digits that the phone shows")
    command = [adb_path(), "-P", str(adbutils.AdbClient().port), "pair", address, code]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=START_LIMIT_S)
        answer = " ".join((result.stdout + result.stderr).split())
    except (OSError, subprocess.SubprocessError) as error:
        raise DeviceLost(f"adb could not pair with {address}: {type(error).__name__}") from None
    if "Successfully paired" not in answer:
        raise DeviceLost(
            f"the phone at {address} did not pair ({answer or 'no word'}); leave its pairing dialog open, and take the "
            "address and code that it shows now"
        )
    return answer


def choose(client: adbutils.AdbClient, serial: str | None = None) -> str:
    """The serial of the phone to use: the one named, else the only one attached.

    Raises:
        DeviceLost: it is not there, not ready, or there are several to choose from.
    """
    known = [item for item in attached(client) if item.serial == serial or not (item.private or _left_over(item))]
    listing = ", ".join(f"{item.serial} ({item.state})" for item in known) or "none"
    if serial is not None:
        found = next((item for item in known if item.serial == serial), None)
        if found is None:
            raise DeviceLost(f"no phone {serial} is attached (attached: {listing}); see `adb devices`")
    elif not known:
        raise DeviceLost("no phone is attached; plug one in with USB debugging on, or `adb connect` one")
    else:
        ready = [item for item in known if item.ready]
        if len(ready) > 1:
            raise DeviceLost(f"several phones are attached: {listing}; choose one with --serial")
        found = ready[0] if ready else known[0]
    if not found.ready:
        advice = next(
            (text for state, text in WHAT_TO_DO.items() if found.state.startswith(state)), "see `adb devices`"
        )
        raise DeviceLost(f"phone {found.serial} is {found.state}: {advice}")
    return found.serial


def disconnect(address: str) -> None:
    """Have the server forget a phone that it reached over TCP; no word if it did already."""
    with contextlib.suppress(AdbError, OSError):
        adbutils.AdbClient().disconnect(address)
