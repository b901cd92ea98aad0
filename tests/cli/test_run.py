"""`run`: a task on a phone, from the flags to the verdict."""

import contextlib
import json
import os
import socket
import subprocess
import sys

import pytest

from qwen2vl_agent import cli
from qwen2vl_agent.agent.scripted import say
from qwen2vl_agent.commands import models, phones, run
from qwen2vl_agent.commands.devices import AtHand
from qwen2vl_agent.envs.register import make_env
from qwen2vl_agent.envs.wrappers import DryRun
from qwen2vl_agent.schema.actions import Done
from qwen2vl_agent.trajectory.store import read_episode


@pytest.fixture
def phone(monkeypatch):
    """A phone in this process in place of one over adb; `phone.virtual = False` makes it pass for a real one."""

    class Phone:
        virtual = True
        env = make_env("virtual-phone", seed=1)

    @contextlib.contextmanager
    def phone_at_hand(wish):
        if wish.dry_run:
            monkeypatch.setattr(Phone.env, "device", DryRun(Phone.env.device))
        yield AtHand(Phone.env, "the phone of the test", wish.serial or "abc", Phone.virtual, own=False)

    monkeypatch.setattr(phones, "phone_at_hand", phone_at_hand)
    yield Phone
    Phone.env.close()


class Ready:
    """A policy that says at once that it is done."""

    name = "model"

    def begin(self, seed):
        pass

    def reply(self, context):
        return say("Done.", Done(message="all well"), context)


def run_json(capsys, *flags: str) -> tuple[int, dict]:
    status = cli.main(["run", "--json", *flags])
    return status, json.loads(capsys.readouterr().out.splitlines()[-1])


def test_a_solved_task_is_a_success_with_a_record(phone, tmp_path, capsys):
    out = tmp_path / "episode"
    status, answer = run_json(capsys, "--task", "settings.toggle", "--policy", "oracle", "--out", str(out))
    assert (status, answer["outcome"], answer["reward"]) == (0, "success", 1.0)
    assert set(answer) >= {"outcome", "reward", "steps", "trajectory", "timings"}
    assert answer["trajectory"] == str(out)
    assert len(read_episode(out).steps) == answer["steps"] > 1
    assert answer["timings"]["policy"] > 0


def test_a_task_that_is_not_solved_gives_status_1(phone, tmp_path, capsys):
    flags = ["--task", "settings.toggle", "--policy", "noop", "--max-steps", "2", "--out", str(tmp_path / "episode")]
    status, answer = run_json(capsys, *flags)
    assert (status, answer["outcome"], answer["steps"]) == (1, "failure", 2)


def test_a_task_in_own_words_ends_unverified(phone, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("qwen2vl_agent.agent.chosen.chosen_policy", lambda *given: Ready())
    monkeypatch.setattr(run, "resolve", lambda model: "a model")
    status, answer = run_json(capsys, "--task", "Open the clock", "--out", str(tmp_path / "episode"))
    assert (status, answer["outcome"], answer["goal"]) == (0, "unverified", "Open the clock")


def test_a_bundled_task_is_not_solved_by_saying_so(phone, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("qwen2vl_agent.agent.chosen.chosen_policy", lambda *given: Ready())
    monkeypatch.setattr(run, "resolve", lambda model: "a model")
    status, answer = run_json(capsys, "--task", "settings.toggle", "--out", str(tmp_path / "episode"))
    assert (status, answer["outcome"]) == (1, "failure")


def test_a_dry_run_shows_what_would_be_sent_and_sends_nothing(phone, tmp_path, capsys):
    out = tmp_path / "episode"
    flags = ["--task", "launcher.open_app", "--policy", "oracle", "--dry-run", "--out", str(out)]
    status, answer = run_json(capsys, *flags)
    assert (status, answer["outcome"], answer["steps"]) == (0, "unverified", 1)
    assert answer["message"] == "dry run: no action was sent"
    assert read_episode(out).steps[0].performed["dry_run"] is True
    assert phone.env.device.phone_state().to_json() == phone.env.task.initial_state().to_json()


def test_a_file_of_tasks_is_done_one_after_the_other(phone, tmp_path, capsys):
    listed = tmp_path / "tasks.txt"
    listed.write_text("settings.toggle\nsettings.navigate\n")
    flags = ["--tasks", str(listed), "--policy", "oracle", "--out", str(tmp_path / "episodes")]
    status, answer = run_json(capsys, *flags)
    assert (status, answer["outcome"]) == (0, "success")
    assert [episode["task"] for episode in answer["episodes"]] == ["settings.toggle", "settings.navigate"]


def test_an_interruption_ends_the_whole_list_with_130(phone, tmp_path, monkeypatch, capsys):
    class Interrupted(Ready):
        def reply(self, context):
            raise KeyboardInterrupt

    monkeypatch.setattr("qwen2vl_agent.agent.chosen.chosen_policy", lambda *given: Interrupted())
    listed = tmp_path / "tasks.txt"
    listed.write_text("settings.toggle\nsettings.navigate\n")
    flags = ["--tasks", str(listed), "--policy", "noop", "--out", str(tmp_path / "episodes")]
    status, answer = run_json(capsys, *flags)
    assert (status, answer["outcome"]) == (130, "stopped")
    assert len(answer["episodes"]) == 1


def test_the_embedded_model_refuses_a_real_phone(phone, tmp_path, monkeypatch, capsys):
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setattr(models, "EMBEDDED", tmp_path)
    phone.virtual = False
    assert cli.main(["run", "--task", "Open the clock", "--out", str(tmp_path / "episode")]) == 2
    assert "refuses abc" in capsys.readouterr().err
    assert not (tmp_path / "episode").exists()


def test_people_see_every_step_and_where_the_record_is(phone, tmp_path, capsys):
    out = tmp_path / "episode"
    assert cli.main(["run", "--task", "settings.toggle", "--policy", "oracle", "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "the phone of the test" in shown
    assert "success" in shown
    assert f"record: {out}" in shown


def test_a_folder_with_an_episode_in_it_is_not_written_over(phone, tmp_path, capsys):
    flags = ["run", "--task", "settings.toggle", "--policy", "noop", "--max-steps", "1", "--out", str(tmp_path / "e")]
    assert cli.main(flags) == 1
    assert cli.main(flags) == 2
    assert "holds an episode already" in capsys.readouterr().err


@pytest.mark.slow
def test_without_a_phone_a_virtual_one_is_started_behind_a_real_adb_server(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "ANDROID_ADB_SERVER_PORT": str(port)}
    command = [
        sys.executable,
        "-m",
        "qwen2vl_agent",
        "run",
        "--task",
        "settings.toggle",
        "--policy",
        "oracle",
        "--json",
    ]
    try:
        answer = subprocess.run(
            [*command, "--out", str(tmp_path / "episode")],
            capture_output=True,
            text=True,
            env=environment,
            timeout=240,
            check=False,
        )
        assert answer.returncode == 0, answer.stderr
        assert json.loads(answer.stdout.splitlines()[-1])["outcome"] == "success"
        assert "virtual phone (no phone is attached)" in answer.stderr
        assert read_episode(tmp_path / "episode").header.device in ("android", "virtual-phone")
    finally:
        from qwen2vl_agent.envs.adb_server import adb_path

        subprocess.run([adb_path(), "-P", str(port), "kill-server"], capture_output=True, check=True, timeout=30)


def test_without_a_record_nothing_is_left(phone, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run.tempfile, "tempdir", str(tmp_path))
    status, answer = run_json(capsys, "--task", "settings.toggle", "--policy", "oracle", "--no-record")
    assert (status, answer["outcome"], answer["trajectory"]) == (0, "success", "")
    assert list(tmp_path.iterdir()) == []
    assert cli.main(["run", "--task", "settings.toggle", "--no-record", "--keep-days", "3"]) == 2


def test_records_that_were_to_be_kept_for_days_go_with_a_later_run(phone, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    flags = ["--task", "settings.toggle", "--policy", "noop", "--max-steps", "1"]
    old = run_json(capsys, *flags, "--keep-days", "2")[1]["trajectory"]
    then = os.stat(f"{old}/episode.json").st_mtime - 3 * 86_400
    os.utime(f"{old}/episode.json", (then, then))
    new = run_json(capsys, *flags, "--out", "runs/new")[1]["trajectory"]
    assert not os.path.exists(old)
    assert os.path.exists(new)


def test_rules_and_secrets_hold_from_the_command_line(phone, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(phone.env, "device", phone.env.device)
    rules = tmp_path / "rules.toml"
    rules.write_text('[[rule]]\nthen = "deny"\nreason = "look only"\n')
    flags = ["--task", "settings.toggle", "--policy", "oracle", "--rules", str(rules), "--max-tokens", "5"]
    status, answer = run_json(capsys, *flags, "--out", str(tmp_path / "e"))
    assert (status, answer["outcome"]) == (1, "failure")
    episode = read_episode(tmp_path / "e")
    assert {step.error for step in episode.steps} == {"this call is not allowed: look only; nothing was done"}
    assert episode.header.config["rules"]["budget"] == {"tokens": 5}
    secrets = tmp_path / "secrets.toml"
    secrets.write_text('pin = "1234"\n')
    secrets.chmod(0o644)
    assert cli.main(["run", "--task", "settings.toggle", "--policy", "noop", "--secrets", str(secrets)]) == 2
    assert "chmod 600" in capsys.readouterr().err
