"""`bench compare`: which episodes are put beside each other, and what is told of them."""

import json

import pytest

from qwen2vl_agent import cli
from qwen2vl_agent.bench.compare import compare, comparison_page
from qwen2vl_agent.schema.errors import ConfigError

TASK = "settings.toggle"


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Four episodes of the solution, three of a policy that waits, one seed apart from the others."""
    root = tmp_path_factory.mktemp("measured")
    common = ["--seed", "3", "--workers", "1", "--json", "--max-steps", "4"]
    assert cli.main(["bench", TASK, "--policy", "oracle", "--episodes", "4", *common, "--out", str(root / "a")]) == 0
    assert cli.main(["bench", TASK, "--policy", "noop", "--episodes", "3", *common, "--out", str(root / "b")]) == 0
    return root


def test_the_same_episodes_are_paired_and_the_others_left_out(measured):
    found = compare(measured / "a", measured / "b")
    assert [one.job.seed for one, _ in found.pairs] == [other.job.seed for _, other in found.pairs]
    assert (len(found.pairs), found.alone_a, found.alone_b) == (3, 1, 0)
    solved = found.overall
    assert (solved.only_a + solved.both, solved.only_b, solved.b) == (round(3 * solved.a), 0, 0.0)


def test_the_command_tells_the_numbers(measured, tmp_path, capsys):
    folders = [str(measured / "a"), str(measured / "b")]
    assert cli.main(["bench", "compare", *folders, "--json", "--out", str(tmp_path)]) == 0
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert answer["episodes"] == 3
    assert answer["success_b"] == 0.0
    assert answer["difference"] == -answer["success_a"]
    assert answer["low"] <= answer["difference"] <= answer["high"]
    assert set(answer["per_task"]) == {TASK}
    page = (tmp_path / "comparison.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert len({row.count("|") for row in rows}) == 1
    assert page == comparison_page(compare(measured / "a", measured / "b"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["bench", "compare"], "takes two folders"),
        (["bench", "phone", "somewhere"], "takes no folders"),
        (["bench", "compare", "nowhere", "nowhere"], "no finished episodes"),
    ],
)
def test_what_cannot_be_compared_is_told(words, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(words) == 2
    assert said in capsys.readouterr().err


def test_measurements_without_a_common_episode_are_refused(measured, tmp_path):
    few = ["--policy", "noop", "--episodes", "1", "--seed", "4", "--workers", "1", "--max-steps", "1"]
    assert cli.main(["bench", TASK, *few, "--out", str(tmp_path / "c"), "--json"]) == 0
    with pytest.raises(ConfigError, match="no episode in common"):
        compare(measured / "a", tmp_path / "c")
