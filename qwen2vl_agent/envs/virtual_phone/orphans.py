"""Virtual phones that outlived the run that started them: found by process and port, and ended.

A phone goes by itself when its parent is gone. One that was stopped, or hangs, cannot notice; it keeps its port and its
place in adb's list. Only on Linux, where /proc tells which process listens where.
"""

import os
import signal
import time
from pathlib import Path

PROC = Path("/proc")
MODULE = "qwen2vl_agent.envs.virtual_phone.server"
LISTENS = "0A"
"""State of a listening socket. Source: TCP_LISTEN of include/net/tcp_states.h."""
LIMIT_S = 5.0


def end_orphan(pid: int, port: int) -> bool:
    """End the virtual phone with this process id if it is one, and listens on this port; whether it was ended.

    Both must fit: a number may long belong to another process, and another run's phone has another port.
    """
    if not (is_virtual_phone(pid) and listens(pid, port)):
        return False
    for sign, limit_s in ((signal.SIGTERM, LIMIT_S), (signal.SIGKILL, LIMIT_S)):
        try:
            os.kill(pid, sign)
            os.kill(pid, signal.SIGCONT)  # one that was stopped would not hear the first
        except (ProcessLookupError, PermissionError):
            break
        end = time.monotonic() + limit_s
        while is_virtual_phone(pid) and time.monotonic() < end:
            time.sleep(0.02)
        if not is_virtual_phone(pid):
            break
    return not is_virtual_phone(pid)


def is_virtual_phone(pid: int) -> bool:
    """Whether a process is a virtual phone that was started for a run, and has not ended."""
    try:
        words = (PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return MODULE.encode() in words  # of a process that ended and was not buried yet the words are gone


def listens(pid: int, port: int) -> bool:
    """Whether a process has a socket that listens on a port of loopback."""
    try:
        links = [os.readlink(entry) for entry in (PROC / str(pid) / "fd").iterdir()]
        lines = (PROC / str(pid) / "net" / "tcp").read_text().splitlines()[1:]
    except OSError:
        return False
    rows = [line.split() for line in lines]
    inodes = {row[9] for row in rows if row[3] == LISTENS and int(row[1].rpartition(":")[2], 16) == port}
    return any(f"socket:[{inode}]" in links for inode in inodes)
