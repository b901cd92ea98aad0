"""What flags mean, and what is said when they cannot be used."""

import re

import pytest

from qwen2vl_agent.cli import read_command
from qwen2vl_agent.commands import flags
from qwen2vl_agent.commands.collect import read_size
from qwen2vl_agent.commands.flags import agent_settings, read_overrides
from qwen2vl_agent.commands.run import read_tasks
from qwen2vl_agent.schema.errors import ConfigError


def test_an_episode_without_a_folder_gets_one_named_by_time_and_task():
    folder = flags.out_folder(None, "Open the clock!")
    assert re.fullmatch(r"runs/\d{8}-\d{6}-Open-the-clock-", folder.as_posix())


def test_two_runs_in_one_second_get_two_folders(tmp_path, monkeypatch):
    monkeypatch.setattr(flags, "RUNS", tmp_path)
    monkeypatch.setattr(flags.time, "strftime", lambda form: "now")
    first = flags.out_folder(None, "task")
    first.mkdir()
    assert flags.out_folder(None, "task") != first


def test_a_folder_that_is_named_is_taken(tmp_path):
    assert flags.out_folder(tmp_path, "task") == tmp_path


def test_no_workers_at_all_are_refused():
    with pytest.raises(ConfigError, match="--workers is 0"):
        flags.worker_count(0)
    assert flags.worker_count(None) >= 1
    assert flags.worker_count(None, parallel=4) == 1
    assert flags.worker_count(3, parallel=4) == 3


@pytest.mark.parametrize("text", ["540", "540x", "x1200", "0x1200", "540x-1", "wide"])
def test_a_size_that_is_none_is_refused(text):
    with pytest.raises(ConfigError, match="540x1200"):
        read_size(text)


def test_a_size_is_width_and_height():
    assert read_size("540x1200") == (540, 1200)


def test_overrides_name_a_field_and_a_value():
    assert read_overrides(("seed=3", "name=a=b")) == {"seed": "3", "name": "a=b"}
    with pytest.raises(ConfigError, match="FIELD=VALUE"):
        read_overrides(("seed",))


def test_settings_of_the_agent_are_set_by_name():
    settings = agent_settings(("memory=summary", "max_frames=4", "second_look=true", "max_context_tokens=none"))
    assert settings == {"memory": "summary", "max_frames": 4, "second_look": True, "max_context_tokens": None}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("memori=summary", "did you mean 'memory'"),
        ("memory=all", "expected one of none, notes, summary"),
        ("max_frames=two", "expected a whole number"),
        ("max_frames=0", "expected at least 1"),
        ("second_look=1", "expected true or false"),
        ("max_frames", "FIELD=VALUE"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(given, told):
    with pytest.raises(ConfigError, match=told):
        agent_settings((given,))


def test_a_repeated_flag_gathers_its_values():
    command = read_command(["train", "tiny", "--set", "seed=3", "--set", "read_steps=5"])
    assert command.set == ("seed=3", "read_steps=5")


def test_a_file_of_tasks_leaves_out_remarks_and_empty_lines(tmp_path):
    path = tmp_path / "tasks.txt"
    path.write_text("# first\nsettings.toggle\n\n  Open the clock  \n")
    assert read_tasks(path) == ["settings.toggle", "Open the clock"]


def test_a_file_without_tasks_is_refused(tmp_path):
    path = tmp_path / "tasks.txt"
    path.write_text("# nothing\n")
    with pytest.raises(ConfigError, match="lists no task"):
        read_tasks(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_tasks(tmp_path / "none")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run"], "name a task"),
        (["run", "--task", "a", "--tasks", "b"], "name a task"),
        (["run", "--task", "a", "--virtual"], "--virtual and --display belong to --device desktop"),
        (["run", "--task", "a", "--url", "https://example.org"], "belong to --device browser"),
        (["run", "--task", "settings.togle", "--policy", "noop"], "did you mean settings.toggle"),
        (["run", "--task", "a", "--policy", "noop", "--max-steps", "0"], "--max-steps is 0"),
        (["bench", "phone", "--policy", "noop", "--episodes", "0"], "--episodes is 0"),
        (["bench", "no-such-suite", "--policy", "noop"], "there is no suite"),
        (["collect", "--noise", "1"], "--noise is 1"),
        (["collect", "--suite", "no-such-suite"], "there is no suite"),
        (["tasks", "no-such-suite"], "there is no suite"),
        (["train", "tiny", "--resume"], "--resume needs --out"),
        (["phone", "--port", "70000"], "--port is 70000"),
        (["phone", "--fault", "explode=1"], "unknown fault"),
        (["verify", "no-such-folder"], "there is no folder"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_happens(words, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=re.escape(said)):
        read_command(words).run()
    assert list(tmp_path.iterdir()) == []


def test_the_switches_of_a_model_change_its_sampling_only_where_they_are_off():
    assert flags.sampling(constrained=True, speculate=True) == {}
    assert flags.sampling(constrained=False, speculate=True) == {"constrained": False}
    assert flags.sampling(constrained=True, speculate=False) == {"draft_tokens": 0}


def test_a_measurement_without_the_switches_writes_that_in_its_jobs():
    command = read_command(["collect", "--policy", "model", "--no-constrained", "--no-speculate", "--episodes", "1"])
    assert command.jobs()[0].sampling == {"constrained": False, "draft_tokens": 0}
    assert read_command(["collect", "--policy", "model", "--episodes", "1"]).jobs()[0].sampling == {}
