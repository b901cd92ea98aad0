"""A real adb server of our own for the tests, and virtual phones behind it."""

import os
import socket
import subprocess
from collections.abc import Iterator

import adbutils
import pytest
from phone_shell import SMALL, Adb

from qwen2vl_agent.envs import adb_server
from qwen2vl_agent.envs.virtual_phone.server import PhoneProcess, start_virtual_phone


@pytest.fixture(scope="session")
def adb_client() -> Iterator[adbutils.AdbClient]:
    """A server on a port of its own, killed in the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "ANDROID_ADB_SERVER_PORT", port)
        patch.setitem(os.environ, "ADB_USB", "0")
        client = adb_server.adb_client()
        yield client
        client.server_kill()


@pytest.fixture(scope="session")
def phone_process(adb_client: adbutils.AdbClient) -> Iterator[PhoneProcess]:
    """A virtual phone, connected."""
    with start_virtual_phone(5, size=SMALL) as process:
        adb_server.connect(adb_client, process.serial)
        yield process


@pytest.fixture
def adb(phone_process: PhoneProcess) -> Adb:
    """adb's own client on that phone, which begins anew for each test."""

    def run(*args: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        command = [adb_server.adb_path(), "-s", phone_process.serial, *args]
        return subprocess.run(command, input=stdin, capture_output=True, timeout=20)

    assert run("shell", "cmd virtual-phone reset 5; wm size reset; ime reset").returncode == 0
    return run
