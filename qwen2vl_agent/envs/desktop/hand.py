"""Mouse and keyboard of one desktop: pyautogui in a process of its own (`hand_process.py`)."""

import contextlib
import importlib.util
import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from qwen2vl_agent.envs.desktop.permissions import check_permissions
from qwen2vl_agent.schema.errors import ActionRejected, ActionVoid, ConfigError, DeviceLost

MODULE = "qwen2vl_agent.envs.desktop.hand_process"
EXTRA_HINT = "the desktop needs the extra: pip install 'qwen2vl-agent[desktop]'"
START_WITHIN_S = 60.0
ANSWER_WITHIN_S = 60.0


class Hand:
    """The hand on one display."""

    def __init__(self, display: str = "", *, fail_safe: bool = True) -> None:
        """Start it; `display` is an X display, empty on macOS and Windows.

        Raises:
            ConfigError: the extra is not installed.
            DeviceLost: the display does not answer, or lets nobody in.
        """
        if importlib.util.find_spec("pyautogui") is None:
            raise ConfigError(EXTRA_HINT)
        check_permissions()
        self._display, self._lock = display, threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", MODULE, *([] if fail_safe else ["--no-fail-safe"])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(display),
            start_new_session=True,  # Ctrl-C is for the program to decide about; Windows calls the same a group
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True, name="hand")
        self._reader.start()
        try:
            self.desktop_size: tuple[int, int] = tuple(self._answer(START_WITHIN_S))
        except BaseException:
            self.close()
            raise

    def do(self, order: str, **arguments: Any) -> Any:
        """Let it do something; what it gives back.

        Raises:
            ActionRejected: nothing was sent, and why.
            ActionVoid: it was sent and had no effect.
            DeviceLost: it has ended, or its display has.
        """
        line = json.dumps({"do": order, **arguments}).encode() + b"\n"
        with self._lock:
            try:
                assert self._process.stdin is not None
                self._process.stdin.write(line)
                self._process.stdin.flush()
            except (OSError, ValueError):
                raise DeviceLost(self._lost("its process has ended")) from None
            return self._answer(ANSWER_WITHIN_S)

    def windows(self) -> list[dict[str, Any]]:
        """See `windows.list_windows`."""
        found: list[dict[str, Any]] = self.do("windows")
        return found

    def listed(self) -> list[int]:
        """See `windows.listed`."""
        found: list[int] = self.do("listed")
        return found

    def close(self) -> None:
        """End it. A second time does nothing."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()  # it ends with its orders
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        self._process.stdout.close()

    def _answer(self, within_s: float) -> Any:
        told = json.loads(self._line(within_s))
        if "refused" in told:
            raise ActionRejected(told["refused"])
        if "void" in told:
            raise ActionVoid(told["void"])
        if "lost" in told:
            raise DeviceLost(self._lost(told["lost"]))
        return told["done"]

    def _line(self, within_s: float) -> bytes:
        try:
            line = self._lines.get(timeout=within_s)
        except queue.Empty:
            self._process.kill()  # its answer would be taken for that to the next order
            raise DeviceLost(self._lost(f"no answer for {within_s:g} s")) from None
        if not line:
            self._lines.put(b"")  # for whoever asks again
            raise DeviceLost(self._lost("its process has ended"))
        return line

    def _read(self) -> None:
        """In a thread, as Windows cannot wait for a pipe with a limit: every line, and an empty one at the end."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(b"")

    def _lost(self, why: str) -> str:
        return f"mouse and keyboard of the desktop {self._display} are lost ({why})"


def environment(display: str) -> dict[str, str]:
    """The environment of programs on `display`."""
    own = dict(os.environ)
    own["PYTHONPATH"] = os.pathsep.join(filter(None, (str(Path(__file__).parents[3]), own.get("PYTHONPATH", ""))))
    if display:
        own["DISPLAY"] = display
        own.pop("WAYLAND_DISPLAY", None)
        if "XAUTHORITY" not in own and not Path("~/.Xauthority").expanduser().exists():
            own["XAUTHORITY"] = os.devnull  # Xlib fails where the file is missing, though none may be needed
    return own
