"""The user's file of defaults: what it sets, what the command line sets all the same, and what is wrong with it."""

from pathlib import Path

import pytest

from qwen2vl_agent import cli
from qwen2vl_agent.commands.user_config import VARIABLE, config_path


@pytest.fixture
def config(tmp_path, monkeypatch):
    path = tmp_path / "config.toml"
    monkeypatch.setenv(VARIABLE, str(path))

    def write(text: str) -> Path:
        path.write_text(text, "utf-8")
        return path

    return write


def test_the_file_gives_defaults_and_the_command_line_comes_first(config):
    config('[run]\nserial = "abc"\nmax-steps = 7\ntasks = "~/tasks.txt"\nconstrained = false\n[serve]\nport = 9000\n')
    command = cli.read_command(["run", "--task", "x", "--max-steps", "3"])
    assert (command.serial, command.max_steps, command.constrained) == ("abc", 3, False)
    assert command.tasks == Path("~/tasks.txt").expanduser()
    assert cli.read_command(["serve"]).port == 9000
    assert cli.read_command(["tasks"]).suite == "phone"


def test_a_command_with_a_folder_of_its_own_still_needs_it(config):
    config('[verify]\nmodel = "m"\n')
    assert cli.read_command(["verify", "there"]).model == "m"
    with pytest.raises(SystemExit):
        cli.read_command(["verify"])


def test_an_episode_that_goes_on_is_left_as_it_was_begun(config):
    config('[run]\nserial = "abc"\n')
    assert cli.read_command(["run", "--resume", "there"]).serial == ""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[run\n", "cannot be read"),
        ("[rum]\n", "did you mean 'run'?"),
        ("serial = 1\n", "no section for a command"),
        ("[run]\nserail = 'x'\n", "did you mean 'serial'?"),
        ("[run]\nmax-steps = 'many'\n", "expected a whole number"),
        ("[run]\nmax-steps = true\n", "expected a whole number"),
        ("[run]\npolicy = 'magic'\n", "expected one of model"),
        ("[run]\ndry-run = 1\n", "expected true or false"),
        ("[run]\nresume = 'x'\n", "no flag that has a default"),
        ("[run]\njson = true\n", "no flag that has a default"),
    ],
)
def test_what_is_wrong_in_the_file_is_told_in_one_line(config, text, told, capsys):
    path = config(text)
    assert cli.main(["run", "--task", "x"]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert str(path) in error
    assert error.count("\n") == 1


def test_the_file_lies_where_settings_lie(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert config_path() is None
    (tmp_path / "qwen2vl-agent").mkdir()
    (tmp_path / "qwen2vl-agent" / "config.toml").write_text("")
    assert config_path() == tmp_path / "qwen2vl-agent" / "config.toml"


def test_a_file_that_is_named_and_missing_is_told(config, capsys):
    assert cli.main(["tasks"]) == 2
    assert "cannot be read" in capsys.readouterr().err
