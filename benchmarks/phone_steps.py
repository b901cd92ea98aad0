"""How many steps a second the virtual phone makes on one core: an action, the new screen drawn, the state scored.

The solutions of the suite's tasks act; their own thinking is not counted. Processor time, not the clock on the wall.
"""

import argparse
import time

from qwen2vl_agent.envs.register import make_env
from qwen2vl_agent.envs.tasks import task_ids

SIZES = ((1080, 2400), (540, 1200), (224, 504))
"""Full size, the size that training draws, and the one that the embedded model looks at."""


def steps_per_second(suite: str, edition: str, size: tuple[int, int], seeds: int) -> float:
    """Rate of `ScreenEnv.step` over whole episodes, resets left out."""
    env, steps, seconds = make_env(size=size, edition=edition), 0, 0.0
    for task in task_ids(suite):
        for seed in range(seeds):
            env.reset(seed=seed, options={"task": task})
            over = False
            while not over:
                action = env.oracle().action
                before = time.process_time()
                _, _, ended, cut_off, _ = env.step(action)
                seconds += time.process_time() - before
                steps += 1
                over = ended or cut_off
    return steps / seconds


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=1)
    args = parser.parse_args()
    for suite, edition in (("phone", "first"), ("phone-full", "full")):
        for size in SIZES:
            rate = steps_per_second(suite, edition, size, args.seeds)
            print(f"{suite} {size[0]}x{size[1]}: {rate:.0f} steps/s")
