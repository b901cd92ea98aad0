"""Collecting a model's episodes by two workers: a model in each, one behind `serve` for both, one process's rounds.

`python benchmarks/shared_model.py [EPISODES]`. The same episodes each way; it checks that the calls are the same, and
tells the machine's load, without which the ratios mean little.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from qwen2vl_agent.agent.jobs import Job
from qwen2vl_agent.agent.rollouts import collect_episodes
from qwen2vl_agent.agent.settings import taught_settings
from qwen2vl_agent.commands.models import EMBEDDED
from qwen2vl_agent.trajectory.store import episodes, read_episode

EPISODES = 8
SERVE = [sys.executable, "-m", "qwen2vl_agent", "serve", "--port", "0", "--json"]


def main() -> None:
    """Measures and prints."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else EPISODES
    first, reference = 0.0, dict[str, list[Any]]()
    with subprocess.Popen(SERVE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        try:
            url = json.loads(next(line for line in server.stdout if line.startswith("{")))["url"]
            ways = {
                "1 worker": (str(EMBEDDED), 1, 1),
                "2 workers, a model each": (str(EMBEDDED), 2, 1),
                "2 workers, one served model": (f"{url.rstrip('/').removesuffix('/v1')}/v1", 2, 1),
                "1 process, 2 episodes in rounds": (str(EMBEDDED), 1, 2),
            }
            for name, (model, workers, parallel) in ways.items():
                load = os.getloadavg()[0]
                rate, calls = measured(jobs(model, count), workers, parallel)
                first, reference = first or rate, reference or calls
                same = "the same calls" if calls == reference else "OTHER CALLS"
                told = f"{rate:.2f} steps a second, {rate / first:.2f} times one worker; {same}"
                print(f"{name}: {told} (load {load:.1f} on {os.cpu_count()} cores)", flush=True)
        finally:
            server.terminate()


def jobs(model: str, count: int) -> list[Job]:
    """Short episodes of one task."""
    agent = taught_settings(str(EMBEDDED))
    return [Job(task="launcher.open_app", seed=seed, policy="model", model=model, agent=agent) for seed in range(count)]


def measured(wanted: list[Job], workers: int, parallel: int) -> tuple[float, dict[str, list[Any]]]:
    """Steps a second, from the first worker's start to the last episode's end, and the calls of each episode."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        collection = collect_episodes(wanted, Path(folder), workers, parallel=parallel)
        seconds = time.perf_counter() - begun
        assert not collection.failures, collection.failures
        calls = {found.name: [step.call for step in read_episode(found).steps] for found in episodes(folder)}
    return sum(map(len, calls.values())) / seconds, calls


if __name__ == "__main__":
    main()
