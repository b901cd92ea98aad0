"""A virtual phone that outlived its run is found and ended, and nobody else's is."""

import os
import signal
import subprocess
import sys
import time

import pytest

from qwen2vl_agent.envs.virtual_phone.orphans import end_orphan, is_virtual_phone, listens
from qwen2vl_agent.envs.virtual_phone.server import start_virtual_phone

PARENT = """
import time
from qwen2vl_agent.envs.virtual_phone.server import start_virtual_phone
phone = start_virtual_phone(1, size=(270, 600))
print(phone.process.pid, phone.port, flush=True)
time.sleep(600)
"""
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux's /proc")


def gone(pid: int) -> bool:
    end = time.monotonic() + 60
    while is_virtual_phone(pid) and time.monotonic() < end:
        time.sleep(0.02)
    return not is_virtual_phone(pid)


def test_a_phone_that_was_stopped_when_its_run_was_killed_is_ended() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid, port = map(int, parent.stdout.readline().split())
    os.kill(pid, signal.SIGSTOP)
    parent.kill()
    parent.communicate()
    try:
        time.sleep(0.1)
        assert is_virtual_phone(pid)  # a stopped phone cannot notice
        assert not end_orphan(pid, port + 1)
        assert is_virtual_phone(pid)
        assert end_orphan(pid, port)
        assert gone(pid)
        assert not end_orphan(pid, port)
    finally:
        if is_virtual_phone(pid):
            os.kill(pid, signal.SIGKILL)


def test_a_process_that_is_no_phone_is_left_alone() -> None:
    assert not is_virtual_phone(os.getpid())
    assert not end_orphan(os.getpid(), 1)


def test_a_phone_listens_where_it_says() -> None:
    with start_virtual_phone(1, size=(270, 600)) as phone:
        assert listens(phone.process.pid, phone.port)
        assert not listens(phone.process.pid, phone.port + 1)
        pid = phone.process.pid
    assert gone(pid)
