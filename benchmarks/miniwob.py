"""Episodes of MiniWoB++ in a second: this project's environment beside the package's own, in one run.

Both do the same: for each page in turn, episodes of one reset and two clicks at the same places, a screenshot after
each. The package's environment drives Chromium through Selenium and chromedriver (Debian: apt-get install chromium
chromium-driver). The processor time of an episode, browser included, tells the two apart on a busy machine too.

    python benchmarks/miniwob.py --processes 1 2
"""

import argparse
import json
import multiprocessing
import os
import random
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# This file has the name of the package that it measures, which must be found all the same.
sys.path[:] = [place for place in sys.path if Path(place).resolve() != Path(__file__).resolve().parent]

PAGES = ("click-test-2", "click-checkboxes", "enter-text", "click-link", "click-dialog", "choose-list")
CLICKS = 2
WARM_UP = 2
"""Episodes of each page before the clock runs."""


def places(page: str, episode: int) -> list[tuple[int, int]]:
    """Where to click, in CSS pixels of the 160x210 page."""
    chance = random.Random(f"{page} {episode}")
    return [(chance.randrange(5, 155), chance.randrange(55, 205)) for _ in range(CLICKS)]


def processor_s() -> float:
    """Processor time that this process and all that it has started have taken so far; those that ended are left out.

    Source: proc(5), the fields ppid, utime and stime of /proc/PID/stat.
    """
    parents, times = {}, {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text("utf-8").rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        number = int(entry.parent.name)
        parents[number], times[number] = int(fields[1]), int(fields[11]) + int(fields[12])
    found, ticks = {os.getpid()}, os.sysconf("SC_CLK_TCK")
    while more := {number for number, parent in parents.items() if parent in found} - found:
        found |= more
    return sum(times[number] for number in found) / ticks


@dataclass
class Spent:
    """What episodes took, warm-up left out."""

    wall_s: float = 0.0
    processor_s: float = 0.0

    @contextmanager
    def counted(self, number: int) -> Iterator[None]:
        """Add what is done inside, unless `number` is one of the warm-up's."""
        wall, processor = time.perf_counter(), processor_s()
        yield
        if number >= 0:
            self.processor_s += processor_s() - processor
            self.wall_s += time.perf_counter() - wall


def ours(pages: tuple[str, ...], episodes: int) -> Spent:
    """That many episodes of each page, by this project's environment."""
    from qwen2vl_agent.envs.register import make_env
    from qwen2vl_agent.schema.actions import Click
    from qwen2vl_agent.schema.geometry import Point

    env = make_env("miniwob", scale=1)
    frame, spent = env.device.frame, Spent()
    try:
        for page in pages:
            for number in range(-WARM_UP, episodes):
                with spent.counted(number):
                    env.reset(seed=1000 + number, options={"task": page})
                    for x, y in places(page, number):
                        if env.step(Click(point=Point(x, y, frame)))[2]:
                            break
    finally:
        env.close()
    return spent


def theirs(pages: tuple[str, ...], episodes: int) -> Spent:
    """The same by the package's own environment."""
    os.environ.setdefault("MINIWOB_CHROME_BINARY", "/usr/bin/chromium")
    os.environ.setdefault("MINIWOB_CHROMEDRIVER", "/usr/bin/chromedriver")
    import gymnasium
    import miniwob
    import numpy as np
    from miniwob.action import ActionTypes

    gymnasium.register_envs(miniwob)
    spent = Spent()
    for page in pages:
        env: Any = gymnasium.make(f"miniwob/{page}-v1", disable_env_checker=True).unwrapped
        try:
            for number in range(-WARM_UP, episodes):
                with spent.counted(number):
                    env.reset(seed=1000 + number)
                    for x, y in places(page, number):
                        action = env.create_action(ActionTypes.CLICK_COORDS, coords=np.array([x, y], np.float32))
                        if env.step(action)[2]:
                            break
        finally:
            env.close()
    return spent


WAYS = {"ours": ours, "selenium": theirs}


def rate(way: str, processes: int, pages: tuple[str, ...], episodes: int) -> tuple[float, float]:
    """Episodes in a second over all processes, and processor time of an episode in milliseconds."""
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        spent = pool.starmap(WAYS[way], [(pages, episodes)] * processes)
    number = len(pages) * episodes
    return sum(number / each.wall_s for each in spent), 1e3 * statistics.mean(
        each.processor_s / number for each in spent
    )


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--episodes", type=int, default=10, help="of each page, in each process and round")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3, help="ours and theirs in turn; the median counts")
    given = parser.parse_args()
    middles = {}
    for processes in given.processes:
        found: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
        for _ in range(given.rounds):
            for way, rates in found.items():
                rates.append(rate(way, processes, PAGES, given.episodes))
        middle = {way: statistics.median(rate for rate, _ in rates) for way, rates in found.items()}
        middles[processes] = middle
        processor = {way: statistics.median(ms for _, ms in rates) for way, rates in found.items()}
        line = {
            "processes": processes,
            "episodes_per_second": {way: round(value, 2) for way, value in middle.items()},
            "ratio": round(middle["ours"] / middle["selenium"], 2),
            "processor_ms": {way: round(value, 1) for way, value in processor.items()},
            "processor_ratio": round(processor["selenium"] / processor["ours"], 2),
            "rounds": {way: [round(rate, 2) for rate, _ in rates] for way, rates in found.items()},
        }
        print(json.dumps(line), flush=True)
    most, one = max(given.processes), min(given.processes)
    if most > one == 1:  # the package's environment has one page; ours goes on with several
        ratio = middles[most]["ours"] / middles[one]["selenium"]
        print(json.dumps({"ours_in_parallel": most, "selenium": one, "ratio": round(ratio, 2)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
