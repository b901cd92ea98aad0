"""Episodes of MiniWoB++ in a second: this project's environment beside the package's own, in one run.

Both do the same: for each page in turn, episodes of one reset and two clicks at the same places, a screenshot after
each. The package's environment drives Chromium through Selenium and chromedriver
(Debian: apt-get install chromium chromium-driver).

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
from typing import Any

PAGES = ("click-test-2", "click-checkboxes", "enter-text", "click-link", "click-dialog", "choose-list")
CLICKS = 2
WARM_UP = 2
"""Episodes of each page before the clock runs."""


def places(page: str, episode: int) -> list[tuple[int, int]]:
    """Where to click, in CSS pixels of the 160x210 page."""
    chance = random.Random(f"{page} {episode}")
    return [(chance.randrange(5, 155), chance.randrange(55, 205)) for _ in range(CLICKS)]


def ours(pages: tuple[str, ...], episodes: int) -> float:
    """Seconds for that many episodes of each page, by this project's environment."""
    from qwen2vl_agent.envs.register import make_env
    from qwen2vl_agent.schema.actions import Click
    from qwen2vl_agent.schema.geometry import Point

    env = make_env("miniwob", scale=1)
    frame, spent = env.device.frame, 0.0
    try:
        for page in pages:
            for number in range(-WARM_UP, episodes):
                begun = time.perf_counter()
                env.reset(seed=1000 + number, options={"task": page})
                for x, y in places(page, number):
                    if env.step(Click(point=Point(x, y, frame)))[2]:
                        break
                spent += time.perf_counter() - begun if number >= 0 else 0.0
    finally:
        env.close()
    return spent


def theirs(pages: tuple[str, ...], episodes: int) -> float:
    """The same by the package's own environment."""
    os.environ.setdefault("MINIWOB_CHROME_BINARY", "/usr/bin/chromium")
    os.environ.setdefault("MINIWOB_CHROMEDRIVER", "/usr/bin/chromedriver")
    import gymnasium
    import miniwob
    import numpy as np
    from miniwob.action import ActionTypes

    gymnasium.register_envs(miniwob)
    spent = 0.0
    for page in pages:
        env: Any = gymnasium.make(f"miniwob/{page}-v1", disable_env_checker=True).unwrapped
        try:
            for number in range(-WARM_UP, episodes):
                begun = time.perf_counter()
                env.reset(seed=1000 + number)
                for x, y in places(page, number):
                    action = env.create_action(ActionTypes.CLICK_COORDS, coords=np.array([x, y], np.float32))
                    if env.step(action)[2]:
                        break
                spent += time.perf_counter() - begun if number >= 0 else 0.0
        finally:
            env.close()
    return spent


WAYS = {"ours": ours, "selenium": theirs}


def rate(way: str, processes: int, pages: tuple[str, ...], episodes: int) -> float:
    """Episodes in a second over all processes."""
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        seconds = pool.starmap(WAYS[way], [(pages, episodes)] * processes)
    return sum(len(pages) * episodes / each for each in seconds)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--episodes", type=int, default=10, help="of each page, in each process and round")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3, help="ours and theirs in turn; the median counts")
    given = parser.parse_args()
    for processes in given.processes:
        found: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(given.rounds):
            for way, rates in found.items():
                rates.append(rate(way, processes, PAGES, given.episodes))
        middle = {way: statistics.median(rates) for way, rates in found.items()}
        print(
            json.dumps(
                {
                    "processes": processes,
                    "episodes_per_second": {way: round(value, 2) for way, value in middle.items()},
                    "ratio": round(middle["ours"] / middle["selenium"], 2),
                    "rounds": {way: [round(value, 2) for value in rates] for way, rates in found.items()},
                }
            )
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
