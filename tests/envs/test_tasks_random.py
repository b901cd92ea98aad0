"""Chance must not solve the bundled tasks."""

from collections import Counter
from random import Random

from task_play import phone_of, random_event

from qwen2vl_agent.envs.tasks import make_task, task_ids

EPISODES = 4


def test_tapping_at_random_solves_at_most_three_tasks_in_a_hundred():
    solved: Counter[str] = Counter()
    for task_id in task_ids():
        for seed in range(EPISODES):
            task = make_task(task_id, seed)
            phone, rng = phone_of(task), Random(seed)
            for _ in range(task.max_steps):
                random_event(phone, rng)
                if task.score(phone.state) == 1.0:
                    solved[task_id] += 1
                    break
    assert solved.total() <= 0.03 * EPISODES * len(task_ids()), solved
