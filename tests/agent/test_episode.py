"""An episode, whoever drives it and however it ends, is recorded as it was."""

import json
from pathlib import Path
from typing import Any, ClassVar

import pytest
from corridor import Corridor, Says, call

from qwen2vl_agent.agent.episode import drive_plainly, run_episode
from qwen2vl_agent.agent.graph import compiled
from qwen2vl_agent.agent.guards import GREY
from qwen2vl_agent.agent.policy import scripted_policy
from qwen2vl_agent.agent.settings import AgentConfig, EpisodePlan
from qwen2vl_agent.agent.watcher import SilentWatcher
from qwen2vl_agent.schema.errors import ConfigError, DeviceLost, RecordError
from qwen2vl_agent.schema.tools import ToolCall
from qwen2vl_agent.schema.trajectory import Step, Trajectory
from qwen2vl_agent.trajectory.store import load_frame, read_episode

ON, BACK, DONE = call("tap", '{"point": [750, 500]}'), call("tap", '{"point": [100, 500]}'), call("done")


def run(out: Path, policy: Any, env: Any = None, config: AgentConfig | None = None, **plan: Any) -> Trajectory:
    return run_episode(env or Corridor(), policy, EpisodePlan(out=out, **plan), config)


def without_times(trajectory: Trajectory) -> list[Any]:
    return [(s.index, s.frame, s.observation_text, s.reply, s.call, s.error, s.reward) for s in trajectory.steps]


def test_the_oracle_solves_its_task_through_text(tmp_path: Path) -> None:
    env = Corridor()
    trajectory = run(tmp_path, scripted_policy("oracle"), env, task="corridor.walk", seed=5, split="train")
    assert trajectory.header.outcome == "success"
    assert trajectory.header.reward == 1.0
    assert env.options == {"task": "corridor.walk", "split": "train"}
    first = trajectory.steps[0]
    assert first.reply.text == 'Go on.\n✿FUNCTION✿: tap\n✿ARGS✿: {"point": [758, 504]}'
    assert first.call == ToolCall("tap", {"point": [758, 504]})
    assert first.performed == {"tap": [42, 56]}
    assert [step.call.name for step in trajectory.steps if step.call] == ["tap", "tap", "tap", "done"]
    assert read_episode(tmp_path) == trajectory


def test_the_tool_call_form_works_as_well(tmp_path: Path) -> None:
    trajectory = run(tmp_path, scripted_policy("oracle"), config=AgentConfig(form="tool_call"))
    assert trajectory.header.outcome == "success"
    assert "<tool_call>" in trajectory.steps[0].reply.text


@pytest.mark.parametrize("policy", ["oracle", "random"])
def test_the_plain_loop_does_what_the_graph_does(tmp_path: Path, policy: str) -> None:
    plan = [EpisodePlan(out=tmp_path / name, seed=3) for name in ("graph", "loop")]
    by_graph = run_episode(Corridor(), scripted_policy(policy), plan[0])
    by_loop = run_episode(Corridor(), scripted_policy(policy), plan[1], drive=drive_plainly)
    assert without_times(by_graph) == without_times(by_loop)
    assert by_graph.header == by_loop.header


def test_the_graph_state_is_small_and_plain(tmp_path: Path) -> None:
    states = []

    def spy(episode: Any, progress: Any) -> Any:
        states.extend(compiled().stream(progress, {"recursion_limit": 100}, context=episode, stream_mode="values"))
        return states[-1]

    run_episode(Corridor(), scripted_policy("oracle"), EpisodePlan(out=tmp_path), drive=spy)
    assert len(states) >= 9
    assert max(len(json.dumps(state)) for state in states) < 400


def test_a_reply_without_a_call_is_told_to_the_model_and_counted(tmp_path: Path) -> None:
    policy = Says("I think I am finished.", ON, ON, ON, DONE)
    trajectory = run(tmp_path, policy)
    assert trajectory.steps[0].call is None
    assert "no function call" in trajectory.steps[0].error
    assert policy.contexts[1].turns[0].result_text == trajectory.steps[0].error
    assert trajectory.header.outcome == "success"


def test_replies_that_stay_unreadable_end_the_episode_as_a_failure(tmp_path: Path) -> None:
    env = Corridor()
    trajectory = run(tmp_path, Says("done!"), env, AgentConfig(mistakes_in_a_row=3))
    assert trajectory.header.outcome == "failure"
    assert len(trajectory.steps) == 3
    assert "3 calls in a row" in trajectory.header.message
    assert env.received == []


def test_a_call_that_is_not_valid_is_told_and_never_done(tmp_path: Path) -> None:
    env = Corridor()
    trajectory = run(tmp_path, Says(call("fly"), call("tap", '{"point": [1, 5000]}'), ON, ON, ON, DONE), env)
    assert "unknown function 'fly'" in trajectory.steps[0].error
    assert "0 <= y < 1000" in trajectory.steps[1].error
    assert trajectory.steps[1].call == ToolCall("tap", {"point": [1, 5000]})
    assert trajectory.steps[1].performed is None
    assert len(env.received) == 4


def test_a_rejected_action_is_told(tmp_path: Path) -> None:
    policy = Says(call("type_text", '{"text": "x"}'), ON, ON, ON, DONE)
    trajectory = run(tmp_path, policy)
    assert trajectory.steps[0].error == "no field has the focus"
    assert trajectory.steps[0].performed is None
    assert policy.contexts[1].turns[0].result_text == "no field has the focus"
    assert policy.contexts[1].observation.text == ""


def test_an_error_is_not_told_again_after_a_reply_that_did_nothing(tmp_path: Path) -> None:
    policy = Says(call("type_text", '{"text": "x"}'), "What now?", ON, ON, ON, DONE)
    run(tmp_path, policy)
    told = [(turn.result_text, turn.observation_text) for turn in policy.contexts[-1].turns]
    assert told[0] == ("no field has the focus", "")
    assert "no function call" in told[1][0]
    assert told[2:] == [("", "")] * 3
    assert [turn.observation_text for turn in policy.contexts[-1].turns] == [""] * 5


def test_going_round_in_circles_gets_a_hint_and_then_an_end(tmp_path: Path) -> None:
    trajectory = run(tmp_path, Says(call("wait")), config=AgentConfig(hint_after=4, stop_after=6))
    texts = [step.observation_text for step in trajectory.steps]
    assert texts[:4] == [""] * 4
    assert "wait with {} 4 times" in texts[4]
    assert len(trajectory.steps) == 6
    assert trajectory.header.outcome == "failure"
    assert "circles" in trajectory.header.message


def test_two_screens_in_turn_are_a_circle_too(tmp_path: Path) -> None:
    trajectory = run(tmp_path, Says(*[ON, BACK] * 50), config=AgentConfig(hint_after=2, stop_after=0))
    assert "2 times" in trajectory.steps[4].observation_text


def test_running_out_of_steps_is_a_failure(tmp_path: Path) -> None:
    trajectory = run(tmp_path, Says(*[ON, BACK] * 50), config=AgentConfig(max_steps=7))
    assert len(trajectory.steps) == 7
    assert (trajectory.header.outcome, trajectory.header.message) == ("failure", "no end after 7 steps")


def test_saying_done_without_having_done_it_is_a_failure(tmp_path: Path) -> None:
    assert run(tmp_path, Says(DONE)).header.outcome == "failure"


def test_a_task_in_own_words_has_no_verdict(tmp_path: Path) -> None:
    said = call("done", '{"message": "there you are"}')
    header = run(tmp_path / "one", Says(said), Corridor(text_task=True), task="walk a little").header
    assert (header.task, header.outcome, header.message) == ("text", "unverified", "there you are")
    gave_up = call("done", '{"status": "failure"}')
    assert run(tmp_path / "two", Says(gave_up), Corridor(text_task=True)).header.outcome == "failure"


def test_an_interruption_ends_the_record_as_stopped(tmp_path: Path) -> None:
    trajectory = run(tmp_path, scripted_policy("oracle"), Corridor(interrupt_at=2))
    assert trajectory.header.outcome == "stopped"
    assert len(read_episode(tmp_path).steps) == 2
    assert read_episode(tmp_path).header.outcome == "stopped"


def test_a_lost_device_is_recorded_and_told_to_the_operator(tmp_path: Path) -> None:
    with pytest.raises(DeviceLost):
        run(tmp_path, scripted_policy("oracle"), Corridor(lose_at=1))
    header = read_episode(tmp_path).header
    assert (header.outcome, header.message) == ("error", "the corridor does not answer")


def test_the_blind_see_grey_and_the_record_says_so(tmp_path: Path) -> None:
    policy = Says(ON, ON, ON, DONE)
    trajectory = run(tmp_path, policy, config=AgentConfig(blind=True))
    assert policy.contexts[0].observation.image.getcolors() == [(56 * 112, GREY)]
    assert len({step.frame for step in trajectory.steps}) == 1
    assert load_frame(tmp_path, trajectory.steps[0].frame).getcolors() == [(56 * 112, GREY)]
    assert trajectory.header.config["agent"]["blind"] is True


def test_the_blind_are_not_told_of_circles_that_only_their_greyness_makes(tmp_path: Path) -> None:
    trajectory = run(tmp_path, Says(ON, ON, ON, DONE), config=AgentConfig(blind=True, hint_after=2))
    assert [step.observation_text for step in trajectory.steps] == [""] * 4


@pytest.mark.parametrize("way", ["replay", "continue"])
def test_an_interrupted_episode_goes_on_to_the_same_end(tmp_path: Path, way: Any) -> None:
    whole = run(tmp_path / "whole", scripted_policy("oracle"), seed=1)
    env = Corridor(interrupt_at=2)
    run(tmp_path / "cut", scripted_policy("oracle"), env, seed=1)
    if way == "continue":  # a real device stays where it was
        env.reset = lambda seed=None, options=None: None  # type: ignore[method-assign]
    resumed = run(tmp_path / "cut", scripted_policy("oracle"), env, seed=1, resume=way)
    assert without_times(resumed) == without_times(whole)
    assert resumed.header == whole.header
    assert read_episode(tmp_path / "cut") == resumed


def test_an_episode_that_was_over_but_for_its_outcome_only_gets_the_outcome(tmp_path: Path) -> None:
    whole = run(tmp_path, scripted_policy("oracle"), seed=1)
    path = tmp_path / "episode.json"
    path.write_text(path.read_text().replace('"outcome": "success"', '"outcome": null'))
    assert run(tmp_path, scripted_policy("oracle"), seed=1, resume="replay") == whole


@pytest.mark.parametrize("way", ["replay", "continue"])
def test_recorded_steps_are_shown_again_when_an_episode_goes_on(tmp_path: Path, way: Any) -> None:
    class Shown(SilentWatcher):
        steps: ClassVar[list[int]] = []

        def did(self, step: Step) -> None:
            self.steps.append(step.index)

    env = Corridor()
    whole = run(tmp_path, scripted_policy("oracle"), env, seed=1)
    (tmp_path / "episode.json").write_text(
        (tmp_path / "episode.json").read_text().replace('"outcome": "success"', '"outcome": null')
    )
    run_episode(Corridor(), scripted_policy("oracle"), EpisodePlan(out=tmp_path, resume=way), watcher=Shown())
    assert Shown.steps == [step.index for step in whole.steps]
    assert read_episode(tmp_path) == whole


def test_a_replay_that_leads_elsewhere_is_noticed(tmp_path: Path) -> None:
    run(tmp_path, scripted_policy("oracle"), Corridor(interrupt_at=3))
    env = Corridor()
    env.reset = lambda seed=None, options=None: setattr(env, "_place", 1)  # type: ignore[method-assign]
    with pytest.raises(RecordError, match="another screen"):
        run(tmp_path, scripted_policy("oracle"), env, resume="replay")


def test_resuming_another_task_is_refused(tmp_path: Path) -> None:
    run(tmp_path, scripted_policy("oracle"), Corridor(interrupt_at=1))
    env = Corridor()
    env.goal = "Something else."
    with pytest.raises(RecordError, match="Something else"):
        run(tmp_path, scripted_policy("oracle"), env, resume="replay")


def test_deliberate_mistakes_are_marked_and_recovered_from(tmp_path: Path) -> None:
    trajectory = run(tmp_path, scripted_policy("oracle", noise=0.6), seed=4)
    targets = [step.reply.target for step in trajectory.steps]
    assert trajectory.header.outcome == "success"
    assert 1 <= targets.count(False) <= 4
    assert all(step.reply.target for step in trajectory.steps if step.call and step.call.name == "done")
    assert read_episode(tmp_path) == trajectory


def test_the_random_policy_is_reproducible_and_valid(tmp_path: Path) -> None:
    runs = [run(tmp_path / str(number), scripted_policy("random"), seed=9) for number in range(2)]
    assert without_times(runs[0]) == without_times(runs[1])
    other = run(tmp_path / "other", scripted_policy("random"), seed=10)
    assert without_times(other) != without_times(runs[0])
    assert all(step.call for step in runs[0].steps)


def test_doing_nothing_solves_nothing(tmp_path: Path) -> None:
    trajectory = run(tmp_path, scripted_policy("noop"))
    assert trajectory.header.outcome == "failure"
    assert {step.call.name for step in trajectory.steps if step.call} == {"wait"}


def test_an_unknown_policy_is_the_operators_error() -> None:
    with pytest.raises(ConfigError, match="oracle, random, noop"):
        scripted_policy("genius")
