"""Endurance: whether memory, file descriptors and threads stay flat over long use, and whether a step is ever lost.

    python benchmarks/soak.py --steps 2000 --episodes 500 --phones 8 --seconds 600 --out soak.json

Four parts: one long episode; many episodes in one process; virtual phones over adb side by side; a server under load.
0 leaves a part out. Slopes are least squares over the second half of a part, when caches are full.
"""

import argparse
import http.client
import json
import os
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from qwen2vl_agent.agent.episode import run_episode
from qwen2vl_agent.agent.graph import drive
from qwen2vl_agent.agent.policy import scripted_policy
from qwen2vl_agent.agent.scripted import say
from qwen2vl_agent.agent.settings import EpisodePlan
from qwen2vl_agent.agent.watcher import SilentWatcher
from qwen2vl_agent.envs.phones import open_virtual_phone
from qwen2vl_agent.envs.register import make_env, screen_env
from qwen2vl_agent.schema.actions import PressKey, Tap
from qwen2vl_agent.schema.geometry import MODEL_FRAME, Point
from qwen2vl_agent.trajectory.store import read_episode

TASKS = ("settings.toggle", "clock.add_alarm", "launcher.open_app", "messages.send")
STATM_PAGES = os.sysconf("SC_PAGE_SIZE")


@dataclass(slots=True)
class Meter:
    """What the process held, as work went on."""

    mb: list[float] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    """Between one reading and the next."""
    _last: float = field(default_factory=time.perf_counter)

    def read(self) -> None:
        """One unit of work is done."""
        now = time.perf_counter()
        self.seconds.append(now - self._last)
        self._last = now
        self.mb.append(int(Path("/proc/self/statm").read_text().split()[1]) * STATM_PAGES / 2**20)
        self.descriptors.append(len(os.listdir("/proc/self/fd")))
        self.threads.append(threading.active_count())

    def told(self, unit: str) -> dict[str, Any]:
        """The figures."""
        half = self.mb[len(self.mb) // 2 :]
        slope = float(np.polyfit(range(len(half)), half, 1)[0]) if len(half) > 2 else 0.0
        ordered = sorted(self.seconds)
        return {
            f"{unit}s": len(self.mb),
            "mb_at_half_and_end": [round(half[0], 1), round(half[-1], 1)],
            f"mb_per_100_{unit}s": round(100 * slope, 3),
            "descriptors_at_half_and_end": [self.descriptors[len(self.descriptors) // 2], self.descriptors[-1]],
            "threads_at_half_and_end": [self.threads[len(self.threads) // 2], self.threads[-1]],
            "p50_ms": round(1000 * statistics.median(ordered), 1),
            "p95_ms": round(1000 * ordered[int(0.95 * (len(ordered) - 1))], 1),
            "longest_ms": round(1000 * ordered[-1], 1),
        }


class Wanderer:
    """Taps another place of the screen at every step, and goes home now and then; it never ends an episode."""

    name = "wanderer"

    def begin(self, seed: int | None) -> None:
        """Nothing to forget."""

    def reply(self, context: Any) -> Any:
        """A tap, or the key that leads home."""
        number = context.index
        if number % 5 == 4:
            return say("Home.", PressKey(name=("home", "back", "app_switch")[number // 5 % 3]), context)
        place = Point(100 + number * 37 % 800, 100 + number * 53 % 800, MODEL_FRAME)
        return say("On.", Tap(point=place), context)


class StepMeter(SilentWatcher):
    """Reads a meter after every step."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def did(self, step: Any) -> None:
        """A step is over."""
        self._meter.read()


def long_episode(steps: int, folder: Path) -> dict[str, Any]:
    """One episode of so many steps."""
    env, meter = make_env("virtual-phone", seed=1, max_steps=steps), Meter()
    plan = EpisodePlan(out=folder / "long", task="Look at everything.", seed=1)
    try:
        done = run_episode(env, Wanderer(), plan, watcher=StepMeter(meter), drive=drive)
    finally:
        env.close()
    kept = read_episode(folder / "long", prompts=False)
    return {**meter.told("step"), "outcome": done.header.outcome, "lost_steps": steps - len(kept.steps)}


def many_episodes(count: int, folder: Path) -> dict[str, Any]:
    """So many episodes in this process, by the bundled solutions."""
    env, policy, meter, lost, solved = make_env("virtual-phone", seed=1), scripted_policy("oracle"), Meter(), 0, 0
    for number in range(count):
        out = folder / f"many-{number}"
        plan = EpisodePlan(out=out, task=TASKS[number % len(TASKS)], seed=number, frames=folder / "frames")
        done = run_episode(env, policy, plan, drive=drive)
        lost += len(done.steps) - len(read_episode(out, prompts=False).steps)
        solved += done.header.outcome == "success"
        meter.read()
    env.close()
    return {**meter.told("episode"), "solved": solved, "lost_steps": lost}


def phones_side_by_side(phones: int, seconds: float, folder: Path) -> dict[str, Any]:
    """Virtual phones over adb, an episode after another on each, until the time is over."""
    meter, lock, until = Meter(), threading.Lock(), time.monotonic() + seconds
    steps: list[int] = []
    errors: list[str] = []

    def work(number: int) -> None:
        episode = 0
        try:
            while time.monotonic() < until:
                env = screen_env(open_virtual_phone(seed=number), seed=number)
                out = folder / f"phone-{number}-{episode}"
                plan = EpisodePlan(out=out, task=TASKS[episode % len(TASKS)], seed=episode)
                try:
                    done = run_episode(env, scripted_policy("oracle"), plan, drive=drive)
                finally:
                    env.close()
                lost = len(done.steps) - len(read_episode(out, prompts=False).steps)
                with lock:
                    steps.append(len(done.steps) - lost)
                    meter.read()
                    errors.extend([f"phone {number}: {lost} steps lost"] if lost else [])
                episode += 1
        except Exception as error:
            errors.append(f"phone {number}: {error!r}")

    _together(work, phones)
    told = meter.told("episode") if meter.mb else {}
    return {"phones": phones, "seconds": seconds, "steps": sum(steps), **told, "errors": errors}


def server_under_load(clients: int, seconds: float) -> dict[str, Any]:
    """The embedded model served to clients that ask again as soon as they are answered."""
    from qwen2vl_agent.agent.loading import load
    from qwen2vl_agent.commands.models import EMBEDDED
    from qwen2vl_agent.serve.access import AccessRules
    from qwen2vl_agent.serve.engine import Engine
    from qwen2vl_agent.serve.openai_api import make_app
    from qwen2vl_agent.serve.running import bound_socket, running

    listening, meter, lock = bound_socket("127.0.0.1", 0), Meter(), threading.Lock()
    port, latencies, statuses = listening.getsockname()[1], [], Counter[str]()
    body = json.dumps({"messages": [{"role": "user", "content": "Open the clock."}], "max_tokens": 16}).encode()
    until = time.monotonic() + seconds

    def work(number: int) -> None:
        while time.monotonic() < until:
            connection, begun = http.client.HTTPConnection("127.0.0.1", port, timeout=120), time.perf_counter()
            connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
            status = connection.getresponse().status
            connection.close()
            with lock:
                latencies.append(1000 * (time.perf_counter() - begun))
                statuses[str(status)] += 1
                meter.read()

    app = make_app(Engine(*load(str(EMBEDDED)), "tiny"), AccessRules(host="127.0.0.1", port=port))
    with running(app, listening):
        _together(work, clients)
    ordered = sorted(latencies)
    told = {key: value for key, value in meter.told("answer").items() if not key.endswith("_ms")}
    p50, p95 = (round(ordered[int(part * (len(ordered) - 1))], 1) for part in (0.5, 0.95))
    return {"clients": clients, "seconds": seconds, **told, "statuses": statuses, "p50_ms": p50, "p95_ms": p95}


def _together(work: Callable[[int], None], count: int) -> None:
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main() -> None:
    """Run the parts and print what each measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2000, help="of the long episode")
    parser.add_argument("--episodes", type=int, default=500, help="in one process")
    parser.add_argument("--phones", type=int, default=8, help="side by side")
    parser.add_argument("--clients", type=int, default=8, help="of the server")
    parser.add_argument("--seconds", type=float, default=600, help="of the phones, and of the load on the server")
    parser.add_argument("--out", type=Path, default=None, help="JSON with the figures")
    args = parser.parse_args()
    parts: dict[str, Callable[[Path], dict[str, Any]]] = {}
    if args.steps:
        parts["long episode"] = lambda folder: long_episode(args.steps, folder)
    if args.episodes:
        parts["episodes in one process"] = lambda folder: many_episodes(args.episodes, folder)
    if args.phones:
        parts["phones side by side"] = lambda folder: phones_side_by_side(args.phones, args.seconds, folder)
    if args.clients:
        parts["server under load"] = lambda folder: server_under_load(args.clients, args.seconds)
    figures = {}
    for name, part in parts.items():
        with tempfile.TemporaryDirectory() as folder:
            figures[name] = part(Path(folder))
        print(name, json.dumps(figures[name], indent=1), flush=True)
        if args.out is not None:
            args.out.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
