"""The bundled tasks: solvable by their own oracle from anywhere, never solved by doing nothing, the same everywhere."""

import subprocess
import sys
from random import Random

import pytest
from task_play import phone_of, play_oracle, random_event

from qwen2vl_agent.envs.tasks import Screen, make_task, task_ids
from qwen2vl_agent.envs.tasks.registry import TEMPLATES
from qwen2vl_agent.envs.virtual_phone.words import is_held_out
from qwen2vl_agent.schema.actions import Answer, Done, OpenApp, Swipe, Tap
from qwen2vl_agent.schema.errors import ConfigError

IDS = task_ids()
SEEDS = range(5)
DETOURS = 30
DETOUR_STEPS = 60
"""Actions that the oracle may need after a detour: there may be a lot to undo."""


def test_there_are_at_least_twenty_templates_over_all_main_apps():
    assert len(IDS) >= 20
    apps = {task_id.split(".")[0] for task_id in IDS}
    assert apps >= {"settings", "clock", "contacts", "messages", "notes", "calculator", "launcher"}


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("task_id", IDS)
def test_the_oracle_solves_every_task_in_the_steps_that_its_template_declares(task_id, split):
    for seed in SEEDS:
        task = make_task(task_id, seed, split)
        solved, decisions = play_oracle(task, phone_of(task), task.max_steps)
        told = [f"{decision.thought} {decision.action}" for decision in decisions]
        assert solved, f"{task.goal}: {told}"
        assert len(decisions) <= TEMPLATES[task_id].steps, f"{task.goal}: {told}"


@pytest.mark.parametrize("task_id", IDS)
def test_no_task_starts_solved_or_is_solved_by_doing_nothing(task_id):
    for seed in SEEDS:
        task = make_task(task_id, seed)
        assert task.score(task.initial_state()) == 0.0
        assert task.score(task.initial_state(), "") == 0.0


@pytest.mark.parametrize("task_id", IDS)
def test_the_oracle_recovers_from_thirty_wrong_beginnings(task_id):
    for number in range(DETOURS):
        rng = Random(f"{task_id}/{number}")
        task = make_task(task_id, number % 7, rng.choice(["train", "test"]))
        phone = phone_of(task)
        for _ in range(rng.randint(1, 6)):
            random_event(phone, rng)
        solved, decisions = play_oracle(task, phone, DETOUR_STEPS)
        told = [f"{decision.thought} {decision.action}" for decision in decisions[-8:]]
        assert solved, f"{number}: {task.goal}: {told}"


@pytest.mark.parametrize("task_id", IDS)
def test_instructions_are_short_varied_and_name_their_target(task_id):
    template = TEMPLATES[task_id]
    assert len(set(template.goals)) >= 5
    for seed in SEEDS:
        task = make_task(task_id, seed, "train")
        params = {**task.params}
        for goal in template.goals:
            text = goal.format(**params)
            assert 3 <= len(text.split()) <= 24, text
        assert len({goal.format(**params) for goal in template.goals}) == len(template.goals)


@pytest.mark.parametrize("task_id", IDS)
def test_the_oracle_only_does_what_a_person_on_a_phone_does(task_id):
    task = make_task(task_id, 3)
    _, decisions = play_oracle(task, phone_of(task), task.max_steps)
    for decision in decisions:
        assert decision.thought
        assert len(decision.thought) <= 120
        assert not isinstance(decision.action, OpenApp)
        if isinstance(decision.action, Tap):
            assert decision.action.point.inside
            assert decision.action.point.frame.space == "device"
        if isinstance(decision.action, Swipe):
            assert decision.action.start.inside
            assert decision.action.end.inside


@pytest.mark.parametrize("task_id", IDS)
def test_the_first_decision_is_the_same_at_every_resolution(task_id):
    task = make_task(task_id, 1)
    thoughts = {task.oracle(Screen.of(phone_of(task, size))).thought for size in ((540, 1200), (1080, 2400))}
    assert len(thoughts) == 1


def test_a_task_is_the_same_in_every_process():
    code = (
        "from qwen2vl_agent.envs.tasks import make_task, task_ids\n"
        "import zlib\n"
        "for name in task_ids():\n"
        "    task = make_task(name, 5)\n"
        "    print(name, task.goal, task.unseen, zlib.crc32(repr(task.initial_state()).encode()))\n"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": salt}
        ).stdout
        for salt in ("1", "2")
    }
    assert len(runs) == 1
    assert runs.pop().count("\n") == len(IDS)


def test_different_seeds_give_different_phones_and_goals():
    for task_id in IDS:
        tasks = [make_task(task_id, seed) for seed in range(6)]
        assert len({task.goal for task in tasks}) >= 4, task_id
        assert len({repr(task.start.home) for task in tasks}) == 6, task_id


def test_training_never_shows_a_held_out_word():
    for task_id in IDS:
        for seed in range(20):
            task = make_task(task_id, seed, "train")
            assert not task.unseen
            state = task.start
            texts = [contact.name for contact in state.contacts] + [note.title for note in state.notes]
            texts += [alarm.label for alarm in state.alarms] + [talk.name for talk in state.conversations]
            texts += [str(task.params[name]) for name in TEMPLATES[task_id].targets]
            assert not [text for text in texts if is_held_out(text)]


def test_some_test_tasks_are_about_words_that_training_never_shows():
    tasks = [make_task(task_id, seed) for task_id in IDS if TEMPLATES[task_id].targets for seed in range(10)]
    share = sum(task.unseen for task in tasks) / len(tasks)
    assert 0.25 <= share <= 0.9


def test_an_answer_ends_only_tasks_that_ask_for_one():
    for task_id in IDS:
        task = make_task(task_id, 2)
        _, decisions = play_oracle(task, phone_of(task), task.max_steps)
        assert isinstance(decisions[-1].action, Answer) == ("answer" in task.params)
        assert not any(isinstance(decision.action, Done) for decision in decisions)


def test_an_unknown_task_or_suite_is_refused_with_what_there_is():
    with pytest.raises(ConfigError, match=r"settings\.toggle"):
        make_task("settings.fly", 0)
    with pytest.raises(ConfigError, match="phone"):
        task_ids("toaster")
