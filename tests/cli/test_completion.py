"""What a shell completes, asked of the shell itself where it is installed."""

import shutil
import subprocess

import pytest

from qwen2vl_agent import cli
from qwen2vl_agent.commands.completion import completion_script

COMPLETE = """
source "$1"
COMP_LINE="$2"
read -ra COMP_WORDS <<< "$COMP_LINE"
[[ "$COMP_LINE" == *' ' ]] && COMP_WORDS+=("")
COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
COMP_POINT=${#COMP_LINE}
COMPREPLY=()
function_name=$(complete -p qwen2vl-agent | sed -E 's/.*-F ([^ ]+) .*/\\1/')
"$function_name" qwen2vl-agent "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    file = tmp_path_factory.mktemp("completion") / "qwen2vl-agent.bash"
    file.write_text(completion_script("bash"), "utf-8")
    return file


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("qwen2vl-agent ru", {"run"}),
        ("qwen2vl-agent ", set(cli.COMMANDS)),
        ("qwen2vl-agent run --ser", {"--serial"}),
        ("qwen2vl-agent serve --quantize int", {"int8", "int4"}),
    ],
)
def test_bash_completes_commands_flags_and_choices(script, typed, expected):
    command = ["bash", "--noprofile", "--norc", "-c", COMPLETE, "bash", str(script), typed]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    assert expected <= {word.strip() for word in answer.stdout.splitlines()}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_knows_every_command(shell, capsys):
    assert cli.main(["completion", shell]) == 0
    printed = capsys.readouterr().out
    assert [name for name in cli.COMMANDS if name not in printed] == []
    assert "--serial" in printed


@pytest.mark.parametrize(("shell", "check"), [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")])
def test_the_script_is_valid(shell, check, tmp_path):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    file = tmp_path / "script"
    file.write_text(completion_script(shell), "utf-8")
    assert subprocess.run([shell, check, str(file)], timeout=30).returncode == 0
