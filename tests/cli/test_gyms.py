"""`run --device gym`, and suites of gymnasium environments, from the flags to the verdict."""

import json
import shutil
import sys

import pytest

from qwen2vl_agent import cli
from qwen2vl_agent.commands.gyms import read_kwargs
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.trajectory.store import episodes, read_episode

NUMBER_LINE = "qwen2vl_agent/NumberLine-v0"
MODULE = """
import gymnasium
from qwen2vl_agent.envs.cards.number_line import NumberLineEnv
gymnasium.register("Mine-v0", entry_point=NumberLineEnv)
"""


def run_json(capsys, *flags):
    status = cli.main(["run", "--device", "gym", "--json", *flags])
    return status, json.loads(capsys.readouterr().out.splitlines()[-1])


def test_an_environment_is_played_by_its_id_alone(tmp_path, capsys):
    status, answer = run_json(
        capsys, "--env-id", NUMBER_LINE, "--env-kwargs", '{"max_position": 9}', "--policy", "oracle", "--seed", "2",
        "--out", str(tmp_path / "one"),
    )  # fmt: skip
    assert (status, answer["outcome"], answer["reward"], answer["task"]) == (0, "success", 1.0, NUMBER_LINE)
    trajectory = read_episode(tmp_path / "one")
    assert trajectory.header.config["flags"]["env_id"] == NUMBER_LINE
    assert {step.call.name for step in trajectory.steps} <= {"plus", "minus"}


def test_a_bundled_task_needs_no_id_of_an_environment(tmp_path, capsys):
    status, answer = run_json(capsys, "--task", "cards.ezpoint", "--policy", "noop", "--out", str(tmp_path / "one"))
    assert (status, answer["outcome"]) == (1, "failure")


def test_a_module_that_registers_an_id_can_be_named(tmp_path, capsys, monkeypatch):
    (tmp_path / "my_worlds.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    flags = ("--env-id", "Mine-v0", "--policy", "oracle")
    assert run_json(capsys, *flags, "--out", str(tmp_path / "one"))[0] == 2
    status, _ = run_json(capsys, *flags, "--import", "my_worlds", "--out", str(tmp_path / "two"))
    assert status == 0
    sys.modules.pop("my_worlds")


def test_an_id_may_name_the_module_that_registers_it(tmp_path, capsys, monkeypatch):
    (tmp_path / "other_worlds.py").write_text(MODULE.replace("Mine-v0", "Other-v0"))
    monkeypatch.syspath_prepend(str(tmp_path))
    flags = ("--env-id", "other_worlds:Other-v0", "--policy", "oracle")
    assert run_json(capsys, *flags, "--out", str(tmp_path / "one"))[0] == 0
    sys.modules.pop("other_worlds")


def test_an_interrupted_episode_is_led_to_where_it_was_and_goes_on(tmp_path, capsys):
    out = tmp_path / "one"
    flags = ("--env-id", NUMBER_LINE, "--env-kwargs", '{"max_position": 9}', "--policy", "oracle", "--seed", "11")
    _, whole = run_json(capsys, *flags, "--out", str(out))
    assert whole["steps"] > 2
    interrupt(out, keep=2)
    status = cli.main(["run", "--resume", str(out), "--json"])
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (status, answer["outcome"], answer["steps"]) == (0, "success", whole["steps"])


def interrupt(folder, keep):
    steps = (folder / "steps.jsonl").read_text().splitlines(keepends=True)
    (folder / "steps.jsonl").write_text("".join(steps[:keep]))
    header = json.loads((folder / "episode.json").read_text())
    header["outcome"] = "stopped"
    (folder / "episode.json").write_text(json.dumps(header))


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (("--env-id", "CartPool-v1"), "did you mean CartPole-v1"),
        ((), "name a task"),
        (("--env-id", NUMBER_LINE, "--env-kwargs", "[1"), "--env-kwargs is no JSON"),
        (("--task", "Win a game"), "name it with --env-id"),
        (("--env-id", NUMBER_LINE, "--env-set", "speed=2"), "--env-set speed: an environment has no such setting"),
        (("--env-id", NUMBER_LINE, "--env-set", "level=2"), "did you mean 'levels'"),
        (("--env-id", NUMBER_LINE, "--env-set", "levels=many"), "--env-set levels"),
        (("--env-id", NUMBER_LINE, "--env-set", "levels=0"), "levels is 0"),
        (("--env-id", NUMBER_LINE, "--env-set", "camera=top"), "NumberLine-v0 has no cameras to choose from"),
    ],
)
def test_what_cannot_be_played_is_one_line_for_the_operator(flags, why, tmp_path, capsys):
    assert cli.main(["run", "--device", "gym", "--policy", "random", *flags, "--out", str(tmp_path / "x")]) == 2
    assert why in capsys.readouterr().err


def test_how_it_is_played_is_told_by_flags_and_kept_for_going_on(tmp_path, capsys):
    out = tmp_path / "one"
    flags = ("--env-kwargs", '{"max_position": 19}', "--env-set", "action_repeat=3", "--env-set", "tell_numbers=true")
    _, whole = run_json(capsys, "--env-id", NUMBER_LINE, "--policy", "random", "--seed", "4", *flags, "--out", str(out))
    steps = read_episode(out).steps
    assert all(step.performed["times"] == 3 for step in steps[:-1])
    interrupt(out, keep=2)
    cli.main(["run", "--resume", str(out), "--json"])
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["steps"] == whole["steps"]
    assert all(step.performed["times"] == 3 for step in read_episode(out).steps[:-1])


def test_a_bundled_tasks_environment_is_made_as_told(tmp_path, capsys):
    flags = ("--task", "games.sokoban_2", "--env-kwargs", '{"size": 8}', "--policy", "noop", "--max-steps", "1")
    run_json(capsys, *flags, "--out", str(tmp_path / "one"))
    assert read_episode(tmp_path / "one").steps[0].frame.width == 8 * 56


@pytest.mark.parametrize("command", [("bench", "--episodes", "2"), ("collect", "--episodes", "2")])
def test_suites_are_made_and_played_as_told(command, tmp_path, capsys):
    name, *rest = command
    suite = [NUMBER_LINE] if name == "bench" else ["--suite", NUMBER_LINE]
    flags = ("--env-kwargs", '{"max_position": 40}', "--env-set", "action_repeat=2", "--policy", "oracle")
    assert cli.main([name, *suite, *rest, *flags, "--workers", "1", "--seed", "3", "--out", str(tmp_path)]) == 0
    times = [step.performed["times"] for folder in episodes(tmp_path) for step in read_episode(folder).steps]
    assert 2 in times
    capsys.readouterr()
    phone = ["phone"] if name == "bench" else ["--suite", "phone"]
    assert cli.main([name, *phone, "--policy", "noop", "--env-set", "levels=3", "--out", str(tmp_path / "x")]) == 2
    assert "which phone is not of" in capsys.readouterr().err


def test_flags_of_gymnasium_belong_to_gymnasium(tmp_path, capsys):
    status = cli.main(["run", "--env-id", NUMBER_LINE, "--task", "settings.toggle", "--policy", "noop"])
    assert status == 2
    assert "belong to --device gym" in capsys.readouterr().err


def test_arguments_must_be_an_object():
    assert read_kwargs("") == {}
    with pytest.raises(ConfigError, match="expected an object"):
        read_kwargs("[1]")


def test_a_suite_of_card_games_tells_how_well_it_can_be_played_at_best(tmp_path, capsys):
    status = cli.main(
        ["bench", "cards", "--policy", "oracle", "--episodes", "2", "--workers", "1", "--json", "--out", str(tmp_path)]
    )
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert status == 0
    assert answer["per_task"]["cards.number_line"]["success"] == 1.0
    assert answer["per_task"]["cards.blackjack"]["ceiling"] == pytest.approx(0.4316)
    assert "cards.point24 (at most 73.1%)" in (tmp_path / "results.md").read_text()


@pytest.mark.slow
def test_episodes_of_any_environment_are_collected_by_its_id(tmp_path, capsys):
    flags = ["--suite", NUMBER_LINE, "--episodes", "3", "--workers", "1", "--json", "--out", str(tmp_path / "all")]
    assert cli.main(["collect", *flags]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["outcomes"] == {"success": 3}
    shutil.rmtree(tmp_path / "all" / "qwen2vl_agent-NumberLine-v0-train-000001-oracle")
    assert cli.main(["collect", *flags]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["episodes"] == 3
