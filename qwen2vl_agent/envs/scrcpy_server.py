"""scrcpy's server as a source of video, where this machine has one.

Written against its documented protocol (scrcpy's doc/develop.md) with `raw_stream=true`, which leaves every header out;
it was never run with a phone.
"""

import os
import re
import secrets
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from qwen2vl_agent.envs.adb_link import AdbLink
from qwen2vl_agent.schema.errors import ConfigError, DeviceLost

PLACES = (
    "/usr/share/scrcpy/scrcpy-server",
    "/usr/local/share/scrcpy/scrcpy-server",
    "/opt/homebrew/share/scrcpy/scrcpy-server",
)
ON_PHONE = "/data/local/tmp/scrcpy-server.jar"
START_S = 5.0
VERSION = re.compile(r"scrcpy (\d+\.\d+(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class ScrcpyServer:
    """The file that runs on the phone; it only starts when told its own version."""

    path: Path
    version: str


def find_server() -> ScrcpyServer:
    """The server of the installed scrcpy: `$SCRCPY_SERVER_PATH`, else where packages put it.

    Raises:
        ConfigError: there is none, or no scrcpy tells its version.
    """
    named = os.environ.get("SCRCPY_SERVER_PATH")
    path = next((Path(place) for place in ([named] if named else PLACES) if Path(place).is_file()), None)
    if path is None:
        raise ConfigError("no scrcpy-server was found; install scrcpy, or name the file in SCRCPY_SERVER_PATH")
    version = os.environ.get("SCRCPY_VERSION", "")
    if not version and shutil.which("scrcpy"):
        told = subprocess.run(["scrcpy", "--version"], capture_output=True, text=True, timeout=20).stdout
        match = VERSION.search(told)
        version = match[1] if match else ""
    if not version:
        raise ConfigError(f"the version of {path} is not known; install scrcpy, or give it in SCRCPY_VERSION")
    return ScrcpyServer(path, version)


def server_command(version: str, connection: int) -> str:
    """The line that starts the server; `connection` (31 bits) tells one from another."""
    return (
        f"CLASSPATH={ON_PHONE} app_process / com.genymobile.scrcpy.Server {version} scid={connection:08x} "
        "tunnel_forward=true audio=false control=false cleanup=false raw_stream=true video_codec=h264"
    )


def open_scrcpy(link: AdbLink, server: ScrcpyServer) -> socket.socket:
    """A socket of raw H.264 from a new server on the phone.

    Raises:
        DeviceLost: it does not start.
    """
    link.push(server.path.read_bytes(), ON_PHONE)
    number = secrets.randbelow(1 << 31)
    runner = link.open_service(f"exec:{server_command(server.version, number)}")
    deadline = time.monotonic() + START_S
    while True:
        try:
            return link.open_service(f"localabstract:scrcpy_{number:08x}")
        except DeviceLost:
            if time.monotonic() > deadline:
                runner.close()
                raise
            time.sleep(0.1)
