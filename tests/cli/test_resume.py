"""`run --resume`: an episode goes on as its record says it was begun."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from qwen2vl_agent import cli
from qwen2vl_agent.agent.scripted import say
from qwen2vl_agent.commands import phones, run
from qwen2vl_agent.commands.devices import AtHand
from qwen2vl_agent.commands.phones import VIRTUAL
from qwen2vl_agent.envs.adb_server import adb_path
from qwen2vl_agent.envs.register import make_env
from qwen2vl_agent.schema.actions import Done, OpenApp
from qwen2vl_agent.schema.errors import DeviceLost
from qwen2vl_agent.trajectory.store import read_episode

LONG_TASK = "multi.note_from_message"


class Hand:
    """A phone in this process; `after` is what happens after so many more looks at it."""

    def __init__(self, monkeypatch, env):
        self.env, self.own, self.asked = env, True, []
        self._left, self._error = -1, KeyboardInterrupt
        self._screenshot = env.device.screenshot
        monkeypatch.setattr(env.device, "screenshot", self._look)
        monkeypatch.setattr(phones, "phone_at_hand", self._at_hand)

    def after(self, looks, error):
        self._left, self._error = looks, error

    def _look(self):
        self._left -= 1
        if self._left == -1:
            raise self._error
        return self._screenshot()

    @contextlib.contextmanager
    def _at_hand(self, wish):
        self.asked.append((wish.serial, wish.seed, wish.dry_run))
        yield AtHand(self.env, "the phone of the test", "127.0.0.1:1234", True, self.own)


@pytest.fixture
def hand(monkeypatch):
    env = make_env("virtual-phone", seed=1)
    yield Hand(monkeypatch, env)
    env.close()


def run_json(capsys, *flags: str) -> tuple[int, dict]:
    status = cli.main(["run", "--json", *flags])
    return status, json.loads(capsys.readouterr().out.splitlines()[-1])


def replies(folder: Path) -> list[str]:
    return [step.reply.text for step in read_episode(folder).steps]


def test_an_interrupted_episode_goes_on_with_its_own_task_seed_and_policy(hand, tmp_path, capsys):
    flags = ["--task", LONG_TASK, "--policy", "oracle", "--seed", "3"]
    assert run_json(capsys, *flags, "--out", str(tmp_path / "whole"))[0] == 0
    hand.after(3, KeyboardInterrupt)
    assert run_json(capsys, *flags, "--out", str(tmp_path / "cut"))[1]["outcome"] == "stopped"
    begun = replies(tmp_path / "cut")
    assert 0 < len(begun) < len(replies(tmp_path / "whole"))
    status, answer = run_json(capsys, "--resume", str(tmp_path / "cut"))
    assert (status, answer["outcome"], answer["trajectory"]) == (0, "success", str(tmp_path / "cut"))
    assert replies(tmp_path / "cut") == replies(tmp_path / "whole")
    assert hand.asked[-1] == (VIRTUAL, 3, False)


def test_who_was_interrupted_is_told_how_to_go_on(hand, tmp_path, capsys):
    hand.after(3, DeviceLost("the phone of the test does not answer"))
    flags = ["run", "--task", LONG_TASK, "--policy", "oracle", "--out", str(tmp_path / "episode")]
    assert cli.main(flags) == 2
    assert f"qwen2vl-agent run --resume {tmp_path / 'episode'}" in capsys.readouterr().out
    assert cli.main(["run", "--resume", str(tmp_path / "episode")]) == 0
    shown = capsys.readouterr().out
    assert "is done again" in shown
    assert "success" in shown


def test_a_phone_lost_before_the_first_look_leaves_nothing_to_go_on_with(hand, tmp_path, capsys):
    hand.after(0, DeviceLost("the phone of the test does not answer"))
    flags = ["run", "--task", LONG_TASK, "--policy", "oracle", "--out", str(tmp_path / "episode")]
    assert cli.main(flags) == 2
    assert "--resume" not in capsys.readouterr().out


@pytest.mark.parametrize(("policy", "status", "outcome"), [("oracle", 0, "success"), ("noop", 1, "failure")])
def test_a_finished_episode_only_tells_its_outcome(hand, tmp_path, capsys, policy, status, outcome):
    out = tmp_path / "episode"
    flags = ["--task", "settings.toggle", "--policy", policy, "--max-steps", "6", "--out", str(out)]
    first = run_json(capsys, *flags)
    assert (first[0], first[1]["outcome"]) == (status, outcome)
    begun = (out / "steps.jsonl").read_bytes()
    assert run_json(capsys, "--resume", str(out)) == first
    assert (out / "steps.jsonl").read_bytes() == begun
    assert len(hand.asked) == 1


def test_a_phone_that_stands_where_it_stood_is_not_led_there_again(hand, tmp_path, monkeypatch, capsys):
    class Opens:
        name = "model"

        def begin(self, seed):
            pass

        def reply(self, context):
            if context.index == 0:
                return say("Open it.", OpenApp(name="Clock"), context)
            return say("Done.", Done(), context)

    given = []
    monkeypatch.setattr("qwen2vl_agent.agent.chosen.chosen_policy", lambda *words: given.append(words[-1]) or Opens())
    monkeypatch.setattr(run, "resolve", lambda model: "a model")
    hand.own = False
    hand.env.config = type(hand.env.config)(seed=1, fresh=False)
    hand.after(2, DeviceLost("the phone of the test does not answer"))
    out = tmp_path / "episode"
    assert run_json(capsys, "--task", "Open the clock", "--no-constrained", "--out", str(out))[0] == 2
    state = hand.env.device.phone_state().to_json()
    performed = []
    monkeypatch.setattr(hand.env.device, "perform", performed.append)
    status, answer = run_json(capsys, "--resume", str(out))
    assert (status, answer["outcome"], answer["steps"]) == (0, "unverified", 2)
    assert performed == []
    assert hand.env.device.phone_state().to_json() == state
    assert hand.asked[-1][0] == "127.0.0.1:1234"
    assert given == [{"constrained": False}] * 2


def test_other_flags_beside_resume_are_refused(hand, tmp_path, capsys):
    assert cli.main(["run", "--resume", str(tmp_path), "--task", "settings.toggle", "--dry-run"]) == 2
    assert "leave out --task, --dry-run" in capsys.readouterr().err
    assert cli.main(["run", "--resume", str(tmp_path)]) == 2
    assert "holds no episode" in capsys.readouterr().err


def test_one_of_many_episodes_is_left_to_the_command_that_runs_them(tmp_path, capsys):
    words = ["collect", "--suite", "settings.toggle", "--episodes", "1", "--workers", "1", "--out", str(tmp_path)]
    assert cli.main(words) == 0
    folder = next(path.parent for path in tmp_path.glob("*/episode.json"))
    assert cli.main(["run", "--resume", str(folder)]) == 2
    assert "run the same command" in capsys.readouterr().err


@pytest.fixture
def adb_environment():
    """A server of adb on a port of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    yield {**os.environ, "ANDROID_ADB_SERVER_PORT": port, "ADB_USB": "0"}
    subprocess.run([adb_path(), "-P", port, "kill-server"], capture_output=True, check=True, timeout=30)


def killed_in_the_middle(command: list[str], out: Path, environment: dict[str, str]) -> bool:
    """Kills a run without warning once it has recorded a step; whether it had more to do."""
    process = subprocess.Popen([*command, "--out", str(out)], stderr=subprocess.DEVNULL, env=environment)
    steps, end = out / "steps.jsonl", time.monotonic() + 120
    while not (steps.is_file() and b"\n" in steps.read_bytes()) and time.monotonic() < end:
        time.sleep(0.005)
    process.kill()
    process.wait()
    return json.loads((out / "episode.json").read_text())["outcome"] is None


@pytest.mark.slow
def test_a_killed_run_over_adb_goes_on_to_success(tmp_path, adb_environment):
    command = [sys.executable, "-m", "qwen2vl_agent", "run"]
    words = [*command, "--task", LONG_TASK, "--policy", "oracle", "--seed", "3"]
    folders = (tmp_path / str(attempt) for attempt in range(5))  # a machine may well be faster than its killer
    out = next(folder for folder in folders if killed_in_the_middle(words, folder, adb_environment))
    begun = (out / "steps.jsonl").read_bytes().split(b"\n")[:-1]
    asked = [*command, "--resume", str(out), "--json"]
    answer = subprocess.run(asked, capture_output=True, text=True, env=adb_environment, timeout=120, check=False)
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout.splitlines()[-1])["outcome"] == "success"
    lines = (out / "steps.jsonl").read_bytes().splitlines()
    assert lines[: len(begun)] == begun
    assert len(read_episode(out).steps) == len(lines) > len(begun)


def test_what_a_killed_run_left_behind_is_ended_and_its_question_told(hand, tmp_path, capsys, monkeypatch):
    from qwen2vl_agent.agent.person import Controls
    from qwen2vl_agent.envs.virtual_phone import orphans

    class Gone(Controls):
        def answer(self, question):
            raise SystemExit

    @contextlib.contextmanager
    def gone(self, *seats):
        yield Gone()

    rules = tmp_path / "rules.toml"
    rules.write_text('default = "ask"\n')
    flags = ["run", "--task", LONG_TASK, "--policy", "oracle", "--out", str(tmp_path / "e"), "--rules", str(rules)]
    with monkeypatch.context() as patch:
        patch.setattr(run.Command, "_person", gone)
        with pytest.raises(SystemExit):
            cli.main(flags)
    header = json.loads((tmp_path / "e" / "episode.json").read_text())
    header["config"]["phone"]["pid"] = 4321
    (tmp_path / "e" / "episode.json").write_text(json.dumps(header))
    ended = []
    monkeypatch.setattr(orphans, "end_orphan", lambda *given: ended.append(given) or True)
    assert cli.main(["run", "--resume", str(tmp_path / "e")]) == 1  # nobody is there any more: all is denied
    shown = capsys.readouterr().out
    assert ended == [(4321, 1234)]
    assert "ended the virtual phone 127.0.0.1:1234" in shown
    assert "it was waiting for an answer: May it " in shown
