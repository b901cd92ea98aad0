"""A bundled task of the desktop: what is asked, what is prepared, whether it is done, and how it is done."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from qwen2vl_agent.envs.desktop.device import DesktopDevice
from qwen2vl_agent.schema.actions import Action, Click
from qwen2vl_agent.schema.errors import DeviceLost
from qwen2vl_agent.schema.geometry import Point
from qwen2vl_agent.schema.trajectory import Split

Params = dict[str, Any]
WINDOW_WITHIN_S = 60.0


@dataclass(slots=True)
class Desk:
    """A virtual desktop as a task sees it."""

    device: DesktopDevice
    apps: list[Any] = field(default_factory=list)
    """The processes of the applications that the task has opened, in that order."""

    @property
    def home(self) -> Path:
        """The home, in which applications begin."""
        assert self.device.virtual is not None
        return self.device.virtual.home

    def open(self, *command: str, title: str) -> None:
        """Start an application and wait for a window whose title has `title`.

        Raises:
            ConfigError: it is not installed.
            DeviceLost: no window comes.
        """
        assert self.device.virtual is not None
        self.apps.append(self.device.virtual.launch(command))
        end = time.monotonic() + WINDOW_WITHIN_S
        while not self.bounds(title):
            if time.monotonic() > end:
                raise DeviceLost(f"{command[0]} shows no window")
            time.sleep(0.05)

    def bounds(self, title: str) -> tuple[int, int, int, int] | None:
        """Where the topmost window with this in its title is."""
        found = [element.bounds for element in self.device.elements() if title in element.text]
        return found[-1] if found else None

    def click(self, title: str, across: float = 0.5, down: float = 0.5) -> Click:
        """A click into a window, at fractions of its inside; into the middle of the screen where it is gone."""
        frame = self.device.frame
        left, top, right, bottom = self.bounds(title) or (0, 0, frame.width, frame.height)
        x, y = left + int((right - left) * across), top + int((bottom - top) * down)
        return Click(point=Point(min(x, frame.width - 1), min(y, frame.height - 1), frame))

    def read(self, name: str) -> str:
        """A file of the home; empty where it is not there."""
        path = self.home / name
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


Step = tuple[str, Callable[[Desk], Action]]
"""Why, and what: an action that may depend on where windows are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Template:
    """A kind of task; seeds make tasks of it."""

    id: str
    goal: str
    """With `{param}` places."""
    draw: Callable[[Random, Split], Params]
    prepare: Callable[[Desk, Params], None]
    """Files and applications on an empty desktop."""
    solved: Callable[[Desk, Params, str | None], bool]
    """Read from files, processes and windows; the answer where one is asked for, None while there is none."""
    plan: Callable[[Params], list[Step]]
    """The solution from the beginning on."""
    programs: tuple[str, ...]
    """What it needs installed."""


@dataclass(frozen=True, slots=True)
class DesktopTask:
    """One instruction on one desktop."""

    id: str
    seed: int
    goal: str
    params: Params
    unseen: bool
    max_steps: int
    desk: Desk = field(repr=False, compare=False)
    template: Template = field(repr=False, compare=False)
