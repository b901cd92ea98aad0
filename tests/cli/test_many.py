"""`bench`, `collect`, `verify` and `tasks`: many episodes."""

import json

import pytest

from qwen2vl_agent import cli


def call(capsys, *words: str) -> tuple[int, dict]:
    status = cli.main([*words, "--json"])
    return status, json.loads(capsys.readouterr().out.splitlines()[-1])


def test_tasks_are_listed_with_their_ids(capsys):
    status, answer = call(capsys, "tasks", "settings")
    assert status == 0
    assert "settings.toggle" in answer["ids"]
    assert all(task.startswith("settings.") for task in answer["ids"])


def test_a_measurement_is_reported_and_goes_on_where_it_was(tmp_path, capsys):
    out = tmp_path / "bench"
    words = ["bench", "settings.toggle", "--policy", "oracle", "--episodes", "2", "--workers", "1", "--out", str(out)]
    status, answer = call(capsys, *words)
    assert (status, answer["success"], answer["policy"]) == (0, 1.0, "oracle")
    assert answer["per_task"]["settings.toggle"]["episodes"] == 2
    assert json.loads((out / "results.json").read_text())["success"] == 1.0
    assert "settings.toggle" in (out / "results.md").read_text()
    assert (out / "results.png").stat().st_size > 1000
    written = [(path, path.stat().st_mtime_ns) for path in sorted(out.glob("*/steps.jsonl"))]
    assert call(capsys, *words) == (status, answer)
    assert [(path, path.stat().st_mtime_ns) for path in sorted(out.glob("*/steps.jsonl"))] == written


def test_a_measurement_does_not_mix_with_another(tmp_path, capsys):
    words = ["bench", "settings.toggle", "--policy", "noop", "--episodes", "1", "--max-steps", "1", "--workers", "1"]
    words += ["--out", str(tmp_path)]
    assert cli.main(words) == 0
    assert cli.main([*words, "--blind"]) == 2
    assert "other settings" in capsys.readouterr().err


def test_episodes_of_one_process_at_once_are_those_of_one_at_a_time(tmp_path, capsys):
    words = ["bench", "settings.toggle", "--policy", "oracle", "--episodes", "3"]
    assert call(capsys, *words, "--workers", "1", "--out", str(tmp_path / "alone"))[0] == 0
    status, together = call(capsys, *words, "--parallel", "3", "--out", str(tmp_path / "together"))
    assert (status, together["success"]) == (0, 1.0)
    frames = [{path.name for path in (tmp_path / name / "frames").iterdir()} for name in ("alone", "together")]
    assert frames[0] == frames[1]


def test_one_phone_does_one_episode_at_a_time(capsys):
    assert cli.main(["collect", "--device", "android", "--parallel", "2"]) == 2
    assert "one episode at a time" in capsys.readouterr().err


@pytest.fixture
def collected(tmp_path, capsys):
    out = tmp_path / "lessons"
    words = ["collect", "--suite", "settings", "--episodes", "3", "--size", "540x1200", "--workers", "1"]
    status, answer = call(capsys, *words, "--out", str(out))
    assert status == 0
    return out, answer


def test_a_collection_goes_round_the_tasks(collected):
    out, answer = collected
    assert answer["episodes"] == 3
    assert answer["outcomes"] == {"success": 3}
    tasks = {json.loads(path.read_text())["task"] for path in out.glob("*/episode.json")}
    assert len(tasks) == 3


def test_a_record_without_a_models_steps_cannot_be_verified(collected, capsys):
    out, _ = collected
    status, answer = call(capsys, "verify", str(out))
    assert status == 2
    assert answer == {"steps": 0, "mismatches": 0, "worst_logprob_difference": 0.0}
