"""A desktop of the agent's own: an Xvfb that nobody sees, with a window manager and an empty home."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from qwen2vl_agent.envs.desktop.hand import environment
from qwen2vl_agent.schema.errors import ConfigError, DeviceLost

MODULE = "qwen2vl_agent.envs.desktop.virtual_process"
PROGRAMS = {"Xvfb": "xvfb", "openbox": "openbox", "xclip": "xclip"}
"""What a virtual desktop needs, with its Debian package."""
SMALLEST, LARGEST = 200, 8000
FORGOTTEN = ("WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "XDG_SESSION_TYPE", "XDG_RUNTIME_DIR", "SESSION_MANAGER")
"""Variables of the user's own session, through which applications would reach it."""


def missing(programs: dict[str, str] = PROGRAMS) -> list[str]:
    """The Debian packages of the programs that are not installed."""
    return sorted({package for program, package in programs.items() if shutil.which(program) is None})


class VirtualDesktop:
    """A running one; it ends with `close`, or with this process."""

    def __init__(self, size: tuple[int, int]) -> None:
        """Start it.

        Raises:
            ConfigError: this machine has no X, a program is not installed, or the size cannot be.
            DeviceLost: it does not start.
        """
        if sys.platform in ("darwin", "win32"):
            raise ConfigError("--virtual needs Xvfb, which macOS and Windows do not have")
        if packages := missing():
            raise ConfigError(f"a virtual desktop needs more programs; Debian: apt-get install {' '.join(packages)}")
        if min(size) < SMALLEST or max(size) > LARGEST:
            raise ConfigError(f"a desktop of {size[0]}x{size[1]} cannot be; expected {SMALLEST} to {LARGEST} a side")
        self._apps: list[subprocess.Popen[bytes]] = []
        own = environment("")
        self._process = subprocess.Popen(
            [sys.executable, "-m", MODULE, f"{size[0]}x{size[1]}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={name: value for name, value in own.items() if name not in FORGOTTEN},
            start_new_session=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self.close()
            raise DeviceLost("the virtual desktop does not start; try: Xvfb :99 -screen 0 1280x800x24")
        told = json.loads(line)
        self.display: str = told["display"]
        self.home = Path(told["home"])
        self.server_pid: int = told["server"]
        self.window_manager_pid: int = told["window_manager"]

    def launch(self, command: Sequence[str]) -> "subprocess.Popen[bytes]":
        """Start an application in the home.

        Raises:
            ConfigError: it is not installed.
        """
        env = {name: value for name, value in environment(self.display).items() if name not in FORGOTTEN}
        env |= {"HOME": str(self.home), "XDG_CONFIG_HOME": str(self.home / ".config"), "LANG": "C.UTF-8"}
        env |= {"PS1": "$ ", "HISTFILE": os.devnull, "NO_AT_BRIDGE": "1"}
        env.pop("LC_ALL", None)
        try:
            app = subprocess.Popen(
                list(command),
                env=env,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except FileNotFoundError:
            raise ConfigError(f"{command[0]} is not installed") from None
        self._apps.append(app)
        return app

    def clear(self) -> None:
        """End the applications, and empty the home."""
        apps, self._apps = self._apps, []
        for app in apps:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(app.pid, signal.SIGKILL)
            app.wait()
        for entry in self.home.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)

    def close(self) -> None:
        """End it with all that runs on it. A second time does nothing."""
        for app in self._apps:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(app.pid, signal.SIGKILL)
            app.wait()
        self._apps = []
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                assert pipe is not None
                pipe.close()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
