"""How collecting scales: the same episodes of the bundled solutions by one worker and by two, one thread each.

`python benchmarks/collect.py [EPISODES]`; on a machine that does nothing else.
"""

import sys
import tempfile
import time
from pathlib import Path

from qwen2vl_agent.agent.jobs import Job
from qwen2vl_agent.agent.rollouts import collect_episodes
from qwen2vl_agent.envs.tasks import task_ids

EPISODES = 84


def main() -> None:
    """Measures and prints."""
    episodes = int(sys.argv[1]) if len(sys.argv) > 1 else EPISODES
    tasks = task_ids()
    jobs = [Job(task=tasks[number % len(tasks)], seed=number // len(tasks)) for number in range(episodes)]
    seconds = {}
    for workers in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            begun = time.perf_counter()
            results = collect_episodes(jobs, Path(folder), workers).results
            seconds[workers] = time.perf_counter() - begun
        steps = sum(result.steps for result in results)
        rate = steps / seconds[workers]
        print(
            f"{workers} workers: {len(results)} episodes, {steps} steps, {seconds[workers]:.1f} s, {rate:.1f} steps/s"
        )
    print(f"two workers are {seconds[1] / seconds[2]:.2f} times as fast as one")


if __name__ == "__main__":
    main()
