"""Selection: every rule drops what it is for, keeps the rest, and says why."""

from pathlib import Path

import pytest

from qwen2vl_agent.flywheel.candidate import Candidate, Decided, call_key
from qwen2vl_agent.flywheel.select import SelectSettings, Verdict, select
from qwen2vl_agent.flywheel.selection import page, read_selection, write_selection
from qwen2vl_agent.schema.errors import ConfigError, RecordError
from qwen2vl_agent.schema.tools import ToolCall


def episode(
    name: str,
    calls: str = "abc",
    task: str = "clock.add",
    goal: str = "",
    outcome: str = "success",
    targets: str = "",
    by_person: int = 0,
    repeats: int = 1,
) -> Candidate:
    """Each letter of `calls` is a call; `targets` has 1 for each that is to be learned, all if left out."""
    goal, past, decisions = goal or name, "", []
    for call, target in zip(calls, targets or "1" * len(calls), strict=True):
        decisions.append(Decided(f"{goal} {past}", call, target == "1"))
        past += call
    return Candidate(Path(name), task, goal, outcome, tuple(decisions), repeats, False, by_person)  # type: ignore[arg-type]


def rules(*episodes: Candidate, **settings: object) -> dict[str, str]:
    verdicts = select(episodes, SelectSettings(**settings))  # type: ignore[arg-type]
    assert [verdict.candidate for verdict in verdicts] == list(episodes)
    assert all(verdict.why for verdict in verdicts)
    return {verdict.folder.name: verdict.rule for verdict in verdicts}


def test_what_failed_is_left_out_unless_it_is_asked_for() -> None:
    assert rules(episode("a"), episode("b", outcome="failure")) == {"a": "kept", "b": "outcome"}
    assert rules(episode("b", outcome="failure"), outcomes=("failure",)) == {"b": "kept"}


def test_far_longer_than_others_of_the_task_is_too_long() -> None:
    others = [episode(name, "abcd") for name in "pqr"]
    assert rules(*others, episode("x", "abcdefghijk"))["x"] == "length"
    assert rules(*others, episode("x", "abcdefghij"))["x"] == "kept"


def test_circles_and_mistakes_are_left_out() -> None:
    assert rules(episode("a", repeats=4)) == {"a": "loop"}
    assert rules(episode("a", repeats=3)) == {"a": "kept"}
    assert rules(episode("a", "abcde", targets="00011")) == {"a": "kept"}
    assert rules(episode("a", "abcde", targets="00001")) == {"a": "mistakes"}
    assert rules(episode("a", "ab", targets="00"), least_learned=0.0) == {"a": "mistakes"}


def test_of_equal_lessons_the_first_is_kept() -> None:
    assert rules(episode("a", goal="g"), episode("b", goal="g"), episode("c", goal="h")) == {
        "a": "kept",
        "b": "duplicate",
        "c": "kept",
    }


def test_of_two_that_contradict_each_other_the_shorter_is_kept() -> None:
    found = rules(episode("long", "axyz", goal="g"), episode("short", "ab", goal="g"))
    assert found == {"long": "contradiction", "short": "kept"}
    assert rules(episode("a", "ab", goal="g"), episode("b", "xb", goal="h")) == {"a": "kept", "b": "kept"}


def test_a_mistake_that_is_not_learned_contradicts_nothing() -> None:
    found = rules(episode("plain", "ab", goal="g"), episode("mends", "xab", goal="g", targets="011"))
    assert found == {"plain": "kept", "mends": "kept"}


def test_no_task_outweighs_the_others_and_a_persons_work_stays() -> None:
    many = [episode(f"m{number}", by_person=int(number == 9)) for number in range(10)]
    few = [episode(f"f{number}", task="notes.add") for number in range(2)]
    found = rules(*many, *few, balance=1.0)
    assert sum(rule == "balance" for rule in found.values()) == 4
    assert found["m9"] == "person"
    assert found["f0"] == found["f1"] == "kept"


def test_corrections_by_a_person_weigh_more() -> None:
    weights = [verdict.weight for verdict in select([episode("a", by_person=1), episode("b")])]
    assert weights == [4.0, 1.0]


def test_points_of_one_place_are_one_call() -> None:
    near = [call_key(ToolCall("tap", {"point": point})) for point in ([101, 203], [109, 221], [330, 203])]
    assert near[0] == near[1] != near[2]


def test_limits_that_make_no_sense_are_refused() -> None:
    for wrong in ({"longest": 0.5}, {"balance": 0.9}, {"repeats": 0}, {"least_learned": 2.0}, {"person_weight": 0.0}):
        with pytest.raises(ValueError, match="expected"):
            SelectSettings(**wrong)  # type: ignore[arg-type]


def test_a_selection_is_written_and_read_back_with_its_reasons(tmp_path: Path) -> None:
    found = [Verdict(episode(str(tmp_path / "a")), 2.0, "person", "told"), Verdict(episode("b"), 0.0, "loop", "x|y")]
    write_selection(found, tmp_path / "out")
    (kept,) = read_selection(tmp_path / "out")
    assert (kept.folder.resolve(), kept.weight) == (tmp_path / "a", 2.0)
    told = page(found)
    assert "1 of 2 episodes" in told
    assert "| b | 0 | loop | x\\|y |" in told
    with pytest.raises(ConfigError, match="no selection"):
        read_selection(tmp_path / "nowhere")
    (tmp_path / "out" / "selection.json").write_text("{}")
    with pytest.raises(RecordError, match="damaged"):
        read_selection(tmp_path / "out")
