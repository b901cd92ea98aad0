"""A collection as it grows: a line for each task in a terminal, plain lines elsewhere; how fast it goes and how big."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from qwen2vl_agent.agent.jobs import EpisodeResult, Job
from qwen2vl_agent.agent.live import CollectionView
from qwen2vl_agent.trajectory.lines import HEADER_FILE, STEPS_FILE

MINUTE_S = 60.0
MEGABYTE = 1_000_000
REFRESHES_PER_SECOND = 2
HEADINGS = ("task", "episodes", "solved", "steps", "s / episode")


@dataclass(slots=True)
class _Task:
    """What was seen of a task so far."""

    episodes: int = 0
    solved: int = 0
    steps: int = 0
    seconds: float = 0.0
    timed: int = 0

    def add(self, result: EpisodeResult) -> None:
        """One more episode; those found finished took no time."""
        self.episodes += 1
        self.solved += result.outcome == "success"
        self.steps += result.steps
        self.seconds += result.seconds
        self.timed += result.seconds > 0


class CollectionTable:
    """A context manager whose methods suit `collect_episodes`."""

    def __init__(self, console: Console, total: int, title: str) -> None:
        self._plain = None if console.is_terminal else CollectionView(console, total, title)
        self._view = CollectionView(console, total, title)  # tells of failures
        self._live = Live(console=console, refresh_per_second=REFRESHES_PER_SECOND)
        self._title, self._total = title, total
        self._tasks: dict[str, _Task] = {}
        self._begun = self._ended = 0.0

    def __enter__(self) -> "CollectionTable":
        self._begun = time.perf_counter()
        if self._plain is None:
            self._live.start()
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self._ended = time.perf_counter()
        if self._plain is None:
            self._live.stop()

    def result(self, result: EpisodeResult) -> None:
        """One more episode is there."""
        self._tasks.setdefault(result.job.task, _Task()).add(result)
        if self._plain is not None:
            self._plain.result(result)
        else:
            self._live.update(self._page())

    def failure(self, job: Job, why: str, again: bool) -> None:
        """A job failed."""
        self._view.failure(job, why, again)

    @property
    def seconds(self) -> float:
        """Since it began, until now or its end."""
        return (self._ended or time.perf_counter()) - self._begun

    def rates(self) -> str:
        """`12.5 episodes a minute, 1.8 steps a second`, of those run in this sitting."""
        run = [task for task in self._tasks.values() if task.timed]
        episodes = sum(task.timed for task in run)
        steps = sum(task.steps * task.timed / task.episodes for task in run)
        seconds = max(self.seconds, 1e-9)
        return f"{MINUTE_S * episodes / seconds:.1f} episodes a minute, {steps / seconds:.1f} steps a second"

    def _page(self) -> Group:
        table = Table(title=self._title, title_justify="left")
        for heading in HEADINGS:
            table.add_column(heading, justify="left" if heading == HEADINGS[0] else "right", no_wrap=True)
        for row in self._rows():
            table.add_row(*row)
        done = sum(task.episodes for task in self._tasks.values())
        return Group(table, Text(f"{done} of {self._total} episodes; {self.rates()}"))

    def _rows(self) -> Iterator[tuple[str, ...]]:
        for name, task in sorted(self._tasks.items()):
            each = f"{task.seconds / task.timed:.2f}" if task.timed else ""
            yield name, str(task.episodes), str(task.solved), str(task.steps), each


@dataclass(frozen=True, slots=True)
class Volume:
    """What a folder of records takes on the disk."""

    shown: int
    """Screens that the steps name."""
    frames: int
    """Different ones among them, each kept once."""
    frame_bytes: int
    record_bytes: int
    """Of headers and steps."""

    @classmethod
    def below(cls, out: Path) -> "Volume":
        """Of the episodes that `collect` keeps in `out`."""
        records = [path for name in (HEADER_FILE, STEPS_FILE) for path in out.glob(f"*/{name}")]
        shown = sum(path.read_bytes().count(b"\n") for path in out.glob(f"*/{STEPS_FILE}"))
        sizes = [path.stat().st_size for path in (out / "frames").glob("*.png")]
        return cls(shown, len(sizes), sum(sizes), sum(path.stat().st_size for path in records))

    def told(self) -> str:
        """One line."""
        words, pictures = self.record_bytes / MEGABYTE, self.frame_bytes / MEGABYTE
        return f"{words:.1f} MB of steps, {pictures:.1f} MB of {self.frames} screens (shown {self.shown} times)"
