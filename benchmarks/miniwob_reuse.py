"""Which pages of MiniWoB++ may begin another episode without being loaded again.

An episode is played on a page that has just been loaded, then again after other episodes on the same page, finished and
broken off. Its goal, all its screens and its rewards must be the same to the last bit. Of the ways in
`qwen2vl_agent/envs/miniwob/reuse.py` the cheapest one that never failed is printed for each page.

    python benchmarks/miniwob_reuse.py --trials 2
"""

import argparse
import hashlib
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from qwen2vl_agent.envs.miniwob import device as miniwob_device
from qwen2vl_agent.envs.miniwob.oracles import ORACLES
from qwen2vl_agent.envs.miniwob.pages import page_names, task_id
from qwen2vl_agent.envs.register import make_env
from qwen2vl_agent.schema.actions import Click, Drag, Hotkey, Scroll, TypeText
from qwen2vl_agent.schema.geometry import Point

# A file beside this one has the name of a package whose pages are looked for later on.
sys.path[:] = [place for place in sys.path if Path(place).resolve() != Path(__file__).resolve().parent]

WAYS = ("kept", "planted")
RANDOM_STEPS, ORACLE_STEPS = 5, 30
BROKEN_OFF = 2
"""Steps after which some of the earlier episodes are left."""


def anything(chance: random.Random, frame: Any) -> Any:
    """A click, mostly, or another thing that hands do, in CSS pixels of the task."""
    first, second = (Point(chance.randrange(160), chance.randrange(52, 210), frame) for _ in range(2))
    kinds = [
        Click(point=first), Click(point=first), Click(point=first), Click(point=first), Drag(start=first, end=second),
        TypeText(text=chance.choice(["abc", "7", "hello there"])), Hotkey(keys=chance.choice(["tab", "enter", "down"])),
        Scroll(point=first, dx=0, dy=chance.choice([-2, 2])),
    ]  # fmt: skip
    return chance.choice(kinds)


def play(env: Any, page: str, seed: int, by: str, steps: int) -> list[Any]:
    """An episode by `oracle` or at `random`: goal and first screen, then the screen and the reward of each step."""
    env.reset(seed=seed, options={"task": task_id(page), "split": "test"})
    chance, seen = random.Random(f"{page} {seed}"), [env.goal, _screen(env)]
    for _ in range(steps):
        action = env.oracle().action if by == "oracle" else anything(chance, env.device.frame)
        _, _, terminated, truncated, _ = env.step(action)
        seen.append((_screen(env), env.device.raw_reward))
        if terminated or truncated:
            break
    return seen


def _screen(env: Any) -> str:
    return hashlib.sha256(env.observation.image.tobytes()).hexdigest()


def begin(way: str) -> None:
    """Make every page begin its episodes in this way from now on."""
    miniwob_device.way_to_begin = lambda page: way  # type: ignore[assignment]


def differences(env: Any, page: str, way: str, trials: int) -> Iterator[str]:
    """What was not the same on a page that began in this way, in words."""
    players = {"random": RANDOM_STEPS} | ({"oracle": ORACLE_STEPS} if page in ORACLES else {})
    others = [(name, length) for name, most in players.items() for length in (BROKEN_OFF, most)]
    for trial in range(trials):
        seed = 41 + trial
        for by, steps in players.items():
            begin("loaded")
            fresh = play(env, page, seed, by, steps)
            begin(way)
            for other, length in others:
                play(env, page, 1000 + trial, other, length)
                again = play(env, page, seed, by, steps)
                if again != fresh:
                    at = next((n for n, pair in enumerate(zip(again, fresh, strict=False)) if pair[0] != pair[1]), -1)
                    yield f"seed {seed} by {by} differs at {at} after {length} steps by {other}"


def main() -> int:
    """Try each page, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pages", nargs="+", default=list(page_names()))
    parser.add_argument("--trials", type=int, default=2)
    given = parser.parse_args()
    env = make_env("miniwob", scale=1)
    try:
        for page in given.pages:
            found: dict[str, str] = {}
            for way in WAYS:
                found[way] = next(differences(env, page, way, given.trials), "")
                if not found[way]:
                    break
            way = next((way for way in WAYS if found.get(way) == ""), "loaded")
            print(
                json.dumps({"page": page, "way": way, **{name: why for name, why in found.items() if why}}), flush=True
            )
    finally:
        env.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
