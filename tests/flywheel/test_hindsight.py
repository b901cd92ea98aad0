"""Hindsight: an episode that turned another switch than it should becomes a lesson about that switch."""

import dataclasses
from pathlib import Path

import pytest

from qwen2vl_agent.agent.episode import drive_plainly, run_episode
from qwen2vl_agent.agent.policy import Context
from qwen2vl_agent.agent.scripted import OraclePolicy
from qwen2vl_agent.agent.settings import EpisodePlan
from qwen2vl_agent.data.examples import episode_example
from qwen2vl_agent.dialogue.tool_call import render_call
from qwen2vl_agent.envs.register import make_env
from qwen2vl_agent.envs.tasks import make_task
from qwen2vl_agent.envs.tasks.achieved import achieved
from qwen2vl_agent.envs.tasks.task import Screen
from qwen2vl_agent.flywheel.candidate import candidate
from qwen2vl_agent.flywheel.hindsight import relabelled
from qwen2vl_agent.flywheel.select import select
from qwen2vl_agent.flywheel.selection import page
from qwen2vl_agent.schema.tools import to_call
from qwen2vl_agent.schema.trajectory import Reply
from qwen2vl_agent.trajectory.store import read_episode

TASK, SEED = "settings.choose", 3


class Elsewhere:
    """Does another task than it was given."""

    name = "model"

    def begin(self, seed: int | None) -> None:
        """Nothing to forget."""

    def reply(self, context: Context) -> Reply:
        own, device = context.env.task, context.env.device
        item = "display.dark_theme"
        template = make_task("settings.toggle", 0, "train").template
        wanted = {"settings": {item: not own.start.settings[item]}}
        other = dataclasses.replace(own, params=wanted, template=template)
        size = (device.frame.width, device.frame.height)
        decision = other.oracle(Screen(device.elements(), device.phone_state(), size, device.foreground()))
        return Reply(render_call(decision.thought, to_call(decision.action), context.dialogue.form))


@pytest.fixture(scope="module")
def missed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("missed") / "episode"
    env = make_env("virtual-phone", size=(540, 1200))
    notes = {"job": {"env_kwargs": {"size": [540, 1200]}}}
    plan = EpisodePlan(out=folder, task=TASK, split="train", seed=SEED, sync=False, notes=notes)
    trajectory = run_episode(env, Elsewhere(), plan, drive=drive_plainly)
    env.close()
    assert trajectory.header.outcome == "failure"
    return folder


def test_what_was_achieved_is_told_and_checked_by_the_environment() -> None:
    task = make_task(TASK, SEED, "train")
    state = task.initial_state()
    assert achieved(task, state) is None
    state.settings["display.dark_theme"] = not state.settings["display.dark_theme"]
    found = achieved(task, state)
    assert found is not None
    assert found.id == "settings.toggle"
    assert '"Dark theme"' in found.goal
    assert found.score(state) == 1.0
    state.settings["display.adaptive_brightness"] = not state.settings["display.adaptive_brightness"]
    assert achieved(task, state) is None, "two things changed: no single task says it"


def test_a_missed_episode_becomes_a_lesson_about_what_it_did(missed: Path, tmp_path: Path) -> None:
    place = relabelled(missed, tmp_path)
    assert place is not None
    own, told = read_episode(missed), read_episode(place)
    assert told.header.task == "settings.toggle"
    assert '"Dark theme"' in told.header.goal
    assert told.header.outcome == "success"
    assert told.header.config["hindsight"]["task"] == TASK
    assert [step.call for step in told.steps[:-1]] == [step.call for step in own.steps[: len(told.steps) - 1]]
    assert told.steps[-1].call is not None
    assert told.steps[-1].call.name == "done"
    assert episode_example(place).has_targets
    assert relabelled(missed, tmp_path) == place, "once is enough"
    report = page(select([candidate(missed), candidate(place)]))
    assert "it ended as failure" in report
    assert f"episode (hindsight) | 1 | kept | {len(told.steps)} of {len(told.steps)} steps are to be learned" in report
    assert f"it missed {TASK}, and is told as settings.toggle, which it did" in report


def test_what_succeeded_is_left_as_it_is(tmp_path: Path) -> None:
    env = make_env("virtual-phone", size=(540, 1200))
    plan = EpisodePlan(out=tmp_path / "a", task="settings.toggle", split="train", seed=1, sync=False)
    run_episode(env, OraclePolicy(), plan, drive=drive_plainly)
    env.close()
    assert relabelled(tmp_path / "a", tmp_path / "out") is None
