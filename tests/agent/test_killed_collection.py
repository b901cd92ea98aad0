"""kill -9 of `collect` and of its workers at random moments: what is missing is recorded as if nothing had been."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from qwen2vl_agent.trajectory.sameness import differences
from qwen2vl_agent.trajectory.store import episodes, read_header, whole_lines

WORKERS = 2
COMMAND = [
    *(sys.executable, "-m", "qwen2vl_agent", "collect", "--suite", "clock", "--noise", "0.3", "--size", "216x480"),
    *("--episodes", "20", "--workers", str(WORKERS)),
]
"""Mistakes and ways back from them, so that episodes are more than straight lines."""
LONGEST_S = 240.0


def collecting(out: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [*COMMAND, "--out", str(out)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def workers_of(parent: int) -> list[int]:
    """The processes that run episodes for it, as far as they have begun."""
    try:
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text("ascii").split()
    except FileNotFoundError:
        return []
    return [int(child) for child in children if b"spawn_main" in command_line(int(child))]


def command_line(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except FileNotFoundError:
        return b""


def steps_below(out: Path) -> dict[Path, list[bytes]]:
    """The steps that were written to their end, by file."""
    return {path: whole_lines(path) for path in sorted(out.glob("*/steps.jsonl"))}


def finished(out: Path) -> set[str]:
    return {folder.name for folder in episodes(out) if read_header(folder).outcome is not None}


def wait_for_steps(out: Path, process: "subprocess.Popen[bytes]", count: int) -> None:
    """Until so many steps are recorded, or there are no more to come."""
    deadline = time.monotonic() + LONGEST_S
    while sum(map(len, steps_below(out).values())) < count and process.poll() is None:
        assert time.monotonic() < deadline, "nothing is recorded any more"
        time.sleep(0.005)


def die(process: "subprocess.Popen[bytes]", workers: list[int]) -> None:
    """kill -9, and until nobody is left who could write: workers end when they find their parent gone."""
    process.kill()
    process.wait()
    deadline = time.monotonic() + LONGEST_S
    while any(b"spawn_main" in command_line(worker) for worker in workers):
        assert time.monotonic() < deadline, "a worker outlived its parent"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is recorded where nothing is killed."""
    out = tmp_path_factory.mktemp("whole")
    assert collecting(out).wait(LONGEST_S) == 0
    return out


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_what_is_killed_at_random_is_completed_as_if_nothing_had_been(tmp_path: Path, whole: Path, seed: int) -> None:
    chance, out = random.Random(seed), tmp_path / "killed"
    total = sum(map(len, steps_below(whole).values()))
    moments = sorted(chance.sample(range(1, total - 10), 6))
    process, kills = collecting(out), {"worker": 0, "parent": 0}
    for number, moment in enumerate(moments):
        wait_for_steps(out, process, moment)
        time.sleep(chance.uniform(0.0, 0.1))
        workers, before, done = workers_of(process.pid), steps_below(out), finished(out)
        if number % 3 == 2:
            die(process, workers)
            kills["parent"] += 1
            unfinished = len(steps_below(out)) - len(finished(out))
            assert unfinished <= WORKERS + kills["worker"], "more than those that ran when something was killed"
            process = collecting(out)
        elif workers:
            os.kill(chance.choice(workers), signal.SIGKILL)
            kills["worker"] += 1
        assert done <= finished(out), "a finished episode was begun again"
        now = steps_below(out)
        assert all(now[path][: len(lines)] == lines for path, lines in before.items()), "recorded steps are lost"
    process.wait(LONGEST_S)
    assert min(kills.values()) > 0, "nothing was killed"
    assert collecting(out).wait(LONGEST_S) == 0  # one whose worker died twice is left to the next call
    assert list(differences(out, whole)) == []
    assert not (out / "aside").exists()
