"""Confidence is held against what the bundled solution would have done."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from qwen2vl_agent import cli
from qwen2vl_agent.agent.episode import drive_plainly, run_episode
from qwen2vl_agent.agent.policy import scripted_policy
from qwen2vl_agent.agent.scripted import say
from qwen2vl_agent.agent.settings import EpisodePlan
from qwen2vl_agent.bench.calibration import Judged, calibration, judged_calls
from qwen2vl_agent.envs.register import make_env
from qwen2vl_agent.schema.actions import PressKey


def test_sorts_errors_and_squares_are_those_worked_out_by_hand() -> None:
    """Four calls at 0.6, of which one is right, and four at 0.99, of which all are."""
    found = calibration([Judged(0.6, index == 0) for index in range(4)] + [Judged(0.99, True)] * 4)
    assert [(sort.low, sort.high, sort.right.episodes) for sort in found.sorts] == [(0.5, 0.8, 4), (0.99, 1.0, 4)]
    assert [sort.right.success for sort in found.sorts] == [0.25, 1.0]
    assert found.error == pytest.approx(0.5 * 0.35 + 0.5 * 0.01)
    assert found.brier == pytest.approx((0.16 + 3 * 0.36 + 4 * 0.0001) / 8)
    assert calibration([Judged(1.0, True)]).sorts[0].high == 1.0
    assert calibration([]).calls == 0


class Sure:
    """The solution, sure of itself, but for one wrong call that it doubts."""

    name = "model"

    def __init__(self) -> None:
        self._oracle = scripted_policy("oracle")

    def begin(self, seed: Any) -> None:
        self._oracle.begin(seed)

    def reply(self, context: Any) -> Any:
        if context.index == 1:
            return dataclasses.replace(say("Hm.", PressKey(name="volume_up"), context), confidence=0.3)
        return dataclasses.replace(self._oracle.reply(context), confidence=0.97)


def test_the_calls_of_a_record_are_judged_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    env = make_env("virtual-phone", seed=2)
    plan = EpisodePlan(out=tmp_path / "e", task="clock.add_alarm", seed=2)
    steps = run_episode(env, Sure(), plan, drive=drive_plainly).steps
    judged = list(judged_calls(tmp_path / "e"))
    assert judged == [Judged(0.3 if index == 1 else 0.97, index != 1) for index in range(len(steps))]
    assert cli.main(["calibration", str(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["calls"] == len(steps)
    assert [sort["right"]["success"] for sort in told["sorts"]] == [0.0, 1.0]


def test_records_without_confidence_have_nothing_to_tell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    env = make_env("virtual-phone", seed=2, size=(360, 800))
    plan = EpisodePlan(out=tmp_path / "e", task="settings.toggle", seed=2)
    run_episode(env, scripted_policy("oracle"), plan, drive=drive_plainly)
    assert cli.main(["calibration", str(tmp_path)]) == 2
    assert "no call of a bundled task with a confidence" in capsys.readouterr().err
