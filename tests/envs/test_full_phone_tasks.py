"""The tasks of the full edition: solvable by their own oracle, hardly by chance, never by doing nothing."""

from random import Random

import pytest
from task_play import phone_of, play_oracle, random_event

from qwen2vl_agent.envs.tasks import make_task, task_ids
from qwen2vl_agent.envs.tasks.full.registry import FULL_TEMPLATES
from qwen2vl_agent.envs.virtual_phone.app_list import installed
from qwen2vl_agent.schema.actions import Answer, OpenApp

IDS = task_ids("phone-full")
NEW = IDS[len(task_ids("phone")) :]
SEEDS = range(4)
DETOURS = 8
DETOUR_STEPS = 60
SMALL = (180, 400)


def test_there_are_at_least_sixty_templates_over_at_least_twelve_apps():
    assert len(IDS) >= 60
    apps = {name.split(".")[1] for name in IDS} & {app.id for app in installed("full")}
    assert len(apps) >= 12
    assert {name.removeprefix("full.") for name in IDS} >= set(task_ids("phone"))


@pytest.mark.parametrize("task_id", IDS)
def test_the_oracle_solves_every_task_of_the_full_edition_in_the_steps_that_its_template_declares(task_id):
    for seed in SEEDS:
        task = make_task(task_id, seed)
        assert task.start.edition == "full"
        assert task.score(task.initial_state()) == task.score(task.initial_state(), "") == 0.0
        solved, decisions = play_oracle(task, phone_of(task, SMALL), task.max_steps)
        told = [f"{decision.thought} {decision.action}" for decision in decisions]
        assert solved, f"{task.goal}: {told}"
        assert len(decisions) <= FULL_TEMPLATES[task_id].steps, f"{task.goal}: {told}"
        assert all(decision.thought and len(decision.thought) <= 120 for decision in decisions), told
        assert not any(isinstance(decision.action, OpenApp) for decision in decisions)
        assert isinstance(decisions[-1].action, Answer) == ("answer" in task.params)


@pytest.mark.parametrize("task_id", NEW)
def test_the_oracle_recovers_from_wrong_beginnings_on_the_full_edition(task_id):
    for number in range(DETOURS):
        rng = Random(f"{task_id}/{number}")
        task = make_task(task_id, number % 5)
        phone = phone_of(task, SMALL)
        for _ in range(rng.randint(1, 6)):
            random_event(phone, rng)
        solved, decisions = play_oracle(task, phone, DETOUR_STEPS)
        told = [f"{decision.thought} {decision.action}" for decision in decisions[-6:]]
        assert solved, f"{number}: {task.goal}: {told}"


@pytest.mark.parametrize("task_id", NEW)
def test_instructions_of_the_full_edition_are_short_and_varied(task_id):
    template = FULL_TEMPLATES[task_id]
    for seed in SEEDS:
        params = make_task(task_id, seed, "train").params
        told = {goal.format(**params) for goal in template.goals}
        assert len(told) == len(template.goals) >= 5
        assert all(2 <= len(goal.split()) <= 24 for goal in told)


def test_tapping_at_random_solves_at_most_three_new_tasks_in_a_hundred():
    solved = []
    for task_id in NEW:
        for seed in range(3):
            task = make_task(task_id, seed)
            phone, rng = phone_of(task, SMALL), Random(seed)
            for _ in range(task.max_steps):
                random_event(phone, rng)
                if task.score(phone.state) == 1.0:
                    solved.append(task_id)
                    break
    assert len(solved) <= 0.03 * 3 * len(NEW), solved
