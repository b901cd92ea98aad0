"""Finding a command, explaining itself, and the exit status."""

import errno
import json
import os
import subprocess
import sys

import pytest

from qwen2vl_agent import cli
from qwen2vl_agent.schema.errors import DeviceLost


class Failing:
    """A command in which something goes wrong."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def run(self) -> int:
        raise self.error


@pytest.fixture
def failing(monkeypatch):
    def replace(error: BaseException) -> None:
        monkeypatch.setattr(cli, "read_command", lambda words: Failing(error))

    return replace


def test_help_names_every_command(capsys):
    assert cli.main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {name} " in shown for name in cli.COMMANDS)


def test_no_words_at_all_show_the_help(capsys):
    assert cli.main([]) == 0
    assert "usage: qwen2vl-agent" in capsys.readouterr().out


def test_the_version_is_told(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("qwen2vl-agent 0.")


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_every_command_explains_itself_with_an_example(name, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([name, "--help"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    assert "Example" in shown
    assert f"qwen2vl-agent {name}" in shown


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_an_unknown_flag_is_the_operators_to_mend(name, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([name, "--no-such-flag"])
    assert stop.value.code == 2


def test_a_misspelt_command_is_answered_with_the_right_one(capsys):
    assert cli.main(["bnech"]) == 2
    assert "did you mean 'bench'?" in capsys.readouterr().err


def test_what_the_operator_must_mend_is_one_line_and_status_2(failing, capsys):
    failing(DeviceLost("the phone is gone;\n  plug it in"))
    assert cli.main(["run"]) == 2
    assert capsys.readouterr().err == "error: the phone is gone; plug it in\n"


def test_with_json_an_error_is_an_object_too(failing, capsys):
    failing(DeviceLost("the phone is gone"))
    assert cli.main(["run", "--json"]) == 2
    values = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert values == {"outcome": "error", "error": "the phone is gone"}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_full_disk_or_a_folder_that_may_not_be_written_is_one_line_and_status_2(failing, capsys, number):
    failing(OSError(number, os.strerror(number), "runs/one/steps.jsonl"))
    assert cli.main(["run"]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"error: runs/one/steps.jsonl: {os.strerror(number)}; ")
    assert told.count("\n") == 1


def test_another_error_of_the_system_keeps_its_traceback(failing):
    failing(OSError(errno.ENOTDIR, "Not a directory", "runs"))
    with pytest.raises(NotADirectoryError):
        cli.main(["run"])


def test_an_interruption_gives_130(failing):
    failing(KeyboardInterrupt())
    assert cli.main(["run"]) == 130


def test_a_developers_mistake_keeps_its_traceback(failing):
    failing(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        cli.main(["run"])


def test_the_module_runs_as_the_program():
    answer = subprocess.run([sys.executable, "-m", "qwen2vl_agent", "nothing"], capture_output=True, text=True)
    assert answer.returncode == 2
    assert answer.stderr.count("\n") == 1
