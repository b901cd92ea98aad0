"""A learner acts beside its teacher: what is right is learned, what is wrong is only the way there."""

from pathlib import Path

import pytest
from corridor import Corridor, Says, call

from qwen2vl_agent.agent.corrected import MOST_FOLLOWED, CorrectedPolicy
from qwen2vl_agent.agent.episode import run_episode
from qwen2vl_agent.agent.policy import Context, scripted_policy
from qwen2vl_agent.agent.scripted import written
from qwen2vl_agent.agent.settings import EpisodePlan
from qwen2vl_agent.dialogue.tool_call import parse_call
from qwen2vl_agent.envs.register import make_env
from qwen2vl_agent.schema.tools import ToolCall
from qwen2vl_agent.schema.trajectory import Reply, Trajectory

BACK, DONE, UNREADABLE = call("tap", '{"point": [100, 500]}'), call("done"), "I do not know."


class Always:
    """A learner that says one thing."""

    name = "learner"

    def __init__(self, text: str) -> None:
        self._text = text

    def begin(self, seed: int | None) -> None:
        """Nothing to forget."""

    def reply(self, context: Context) -> Reply:
        return Reply(self._text)


def corrected(out: Path, learner: object, followed: float, seed: int = 1) -> Trajectory:
    policy = CorrectedPolicy(learner, followed=followed)
    return run_episode(Corridor(), policy, EpisodePlan(out=out, seed=seed))


def replies(trajectory: Trajectory) -> list[Reply]:
    return [step.reply for step in trajectory.steps]


def test_a_learner_that_is_right_is_shown_nothing_new(tmp_path: Path) -> None:
    solution = run_episode(Corridor(), scripted_policy("oracle"), EpisodePlan(out=tmp_path / "a", seed=1))
    shown = corrected(tmp_path / "b", scripted_policy("oracle"), followed=1.0)
    assert replies(shown) == replies(solution)
    assert shown.header.policy == "dagger"


def test_followed_mistakes_are_no_targets_and_the_way_back_is(tmp_path: Path) -> None:
    shown = corrected(tmp_path, Always(BACK), followed=1.0)
    wrong = [reply.text for reply in replies(shown) if not reply.target]
    assert wrong == [BACK] * MOST_FOLLOWED
    right = [reply for reply in replies(shown) if reply.target]
    assert shown.header.outcome == "success"
    assert [reply.text for reply in right if "Go on" in reply.text]


def test_unfollowed_mistakes_leave_the_solution(tmp_path: Path) -> None:
    solution = run_episode(Corridor(), scripted_policy("oracle"), EpisodePlan(out=tmp_path / "a", seed=1))
    assert replies(corrected(tmp_path / "b", Always(BACK), followed=0.0)) == replies(solution)


@pytest.mark.parametrize("said", [DONE, UNREADABLE])
def test_no_mistake_that_ends_an_episode_or_does_nothing_is_followed(tmp_path: Path, said: str) -> None:
    shown = corrected(tmp_path, Always(said), followed=1.0)
    assert shown.header.outcome == "success"
    assert all(reply.target for reply in replies(shown))


def test_chance_follows_some_and_the_same_ones_again(tmp_path: Path) -> None:
    runs = [corrected(tmp_path / str(number), Always(BACK), followed=0.5, seed=7) for number in range(2)]
    assert replies(runs[0]) == replies(runs[1])
    targets = {
        reply.target for seed in range(4) for reply in replies(corrected(tmp_path / f"s{seed}", Says(BACK), 0.5, seed))
    }
    assert targets == {True, False}


def test_on_a_screen_the_same_element_touched_elsewhere_is_no_mistake(tmp_path: Path) -> None:
    class Aside:
        """The solution's touches, some cells further, in other words."""

        name = "aside"

        def begin(self, seed: int | None) -> None:
            """Nothing to forget."""

        def reply(self, context: Context) -> Reply:
            said = parse_call(scripted_policy("oracle").reply(context).text, context.dialogue.form).call
            arguments = {
                name: [value[0] + 4, value[1] + 4] if name == "point" else value
                for name, value in said.arguments.items()
            }
            return written("Aside.", ToolCall(said.name, arguments), context.dialogue.form)

    env = make_env("virtual-phone", size=(270, 600))
    try:
        plan = EpisodePlan(out=tmp_path, task="settings.toggle", seed=2)
        shown = run_episode(env, CorrectedPolicy(Aside(), followed=1.0), plan)
    finally:
        env.close()
    assert shown.header.outcome == "success"
    assert any(step.call.name == "tap" for step in shown.steps)
    assert all(reply.target and "Aside" not in reply.text for reply in replies(shown))
