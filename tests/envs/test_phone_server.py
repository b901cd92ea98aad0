"""A phone in a process of its own: it starts with what it is given and never outlives its parent."""

import asyncio
import os
import signal
import subprocess
import sys
import time

import pytest

from qwen2vl_agent.envs.adb_server import connect
from qwen2vl_agent.envs.android import AndroidDevice
from qwen2vl_agent.envs.virtual_phone.phone import VirtualPhone
from qwen2vl_agent.envs.virtual_phone.server import serve_phone, start_virtual_phone
from qwen2vl_agent.envs.virtual_phone.state import random_state
from qwen2vl_agent.envs.virtual_phone.words import Words
from qwen2vl_agent.schema.errors import ConfigError, DeviceLost

PARENT = """
import time
from qwen2vl_agent.envs.virtual_phone.server import start_virtual_phone
print(start_virtual_phone(size=(90, 200)).process.pid, flush=True)
time.sleep(60)
"""


def test_a_phone_starts_with_the_state_it_is_given(adb_client) -> None:
    state = random_state(4, Words.train())
    state.battery = 7
    with start_virtual_phone(state=state, size=(90, 200)) as process:
        device = AndroidDevice(connect(adb_client, process.serial), client=adb_client)
        assert device.phone_state() == state
        assert (device.frame.width, device.frame.height) == (90, 200)
    assert process.process.returncode == 0


def test_a_phone_goes_when_its_parent_is_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 10
    while _is_alive(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _is_alive(child)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_a_phone_ends_quietly_on_a_signal() -> None:
    process = start_virtual_phone(size=(90, 200))
    process.process.send_signal(signal.SIGTERM)
    assert process.process.wait(10) == 0
    process.close()


def test_a_port_that_is_taken_is_told() -> None:
    phone = VirtualPhone(random_state(1, Words.test()), (90, 200))

    async def twice() -> None:
        ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        first = asyncio.create_task(serve_phone(phone, on_ready=ready.set_result))
        port = await ready
        try:
            await serve_phone(phone, port=port)
        finally:
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)

    with pytest.raises(ConfigError, match="cannot be listened on"):
        asyncio.run(twice())


def test_a_phone_that_does_not_start_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    with start_virtual_phone(size=(90, 200)) as first, pytest.raises(DeviceLost, match="did not start"):
        start_virtual_phone(size=(90, 200), port=first.port)
    assert f"port {first.port} cannot be listened on" in capfd.readouterr().err
