"""What a step costs beside the model and the device: looking, deciding, recording, the graph and its checkpoints.

    python benchmarks/loop.py --episodes 10

It runs bundled tasks by their own solutions on a virtual phone in this process, with the graph, its SQLite checkpoints
and a record that is forced to the disk, as `run` does. From each step's time it takes what the policy and the
environment took.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qwen2vl_agent.agent.episode import run_episode
from qwen2vl_agent.agent.graph import drive
from qwen2vl_agent.agent.policy import scripted_policy
from qwen2vl_agent.agent.rules_file import rules_from
from qwen2vl_agent.agent.settings import AgentConfig, EpisodePlan
from qwen2vl_agent.agent.watcher import SilentWatcher
from qwen2vl_agent.envs.register import make_env
from qwen2vl_agent.schema.trajectory import Step

TASKS = ("settings.toggle", "clock.add_alarm", "multi.note_from_message", "messages.send")
RULES = {"rule": [{"function": "press_key", "when": {"name": "power"}, "then": "deny"}]}


class Clock(SilentWatcher):
    """Times each step, less what the policy and the environment took of it."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.overheads_s: list[float] = []
        self._now = now
        self._others_s = 0.0
        self._begun = now()

    def watched(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function whose time is not the loop's."""

        def timed(*given: Any, **more: Any) -> Any:
            begun = self._now()
            try:
                return function(*given, **more)
            finally:
                self._others_s += self._now() - begun

        return timed

    def began(self, header: Any, max_steps: int) -> None:
        """The first step begins."""
        self._others_s, self._begun = 0.0, self._now()

    def did(self, step: Step) -> None:
        """A step is over, and the next begins."""
        now = self._now()
        self.overheads_s.append(now - self._begun - self._others_s)
        self._others_s, self._begun = 0.0, now


def measure(episodes: int, verified: bool, now: Callable[[], float]) -> list[float]:
    """Seconds of each step beside policy and environment."""
    env, policy, clock = make_env("virtual-phone", seed=1), scripted_policy("oracle"), Clock(now)
    env.step, policy.reply = clock.watched(env.step), clock.watched(policy.reply)
    config = AgentConfig(verified=verified)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(episodes):
            task = TASKS[number % len(TASKS)]
            plan = EpisodePlan(out=Path(folder) / str(number), task=task, seed=number, rules=rules_from(RULES))
            run_episode(env, policy, plan, config, clock, drive)
    return clock.overheads_s


def main() -> None:
    """Print a line for each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=10)
    episodes = parser.parse_args().episodes
    clocks = {"by the clock on the wall": time.perf_counter, "of all threads' own time": time.process_time}
    for verified in (False, True):
        for clock, now in clocks.items():
            times = sorted(measure(episodes, verified, now))
            median, ninth = statistics.median(times), times[int(0.9 * (len(times) - 1))]
            name = "verified" if verified else "as taught"
            numbers = f"median {median * 1e3:5.1f} ms, 90 % below {ninth * 1e3:5.1f} ms"
            print(f"{name:<9} {len(times):>4} steps: {numbers} {clock}")


if __name__ == "__main__":
    main()
