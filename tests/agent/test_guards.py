"""Going round in circles is noticed by pixels and calls, nothing else."""

import pytest

from qwen2vl_agent.agent.guards import LoopGuard
from qwen2vl_agent.agent.settings import AgentConfig
from qwen2vl_agent.schema.tools import ToolCall

TAP, OTHER = ToolCall("tap", {"point": [1, 2]}), ToolCall("tap", {"point": [1, 3]})


def test_only_the_same_call_on_the_same_screen_counts() -> None:
    guard = LoopGuard(hint_after=2, stop_after=3)
    guard.note("a", TAP)
    guard.note("a", OTHER)
    guard.note("b", TAP)
    assert [guard.hint("a"), guard.hint("b")] == ["", ""]
    guard.note("a", TAP)
    assert guard.hint("a") == 'You called tap with {"point": [1, 2]} 2 times on this same screen. Do something else.'
    assert guard.hint("b") == ""
    assert not guard.stuck("a")
    guard.note("a", TAP)
    assert guard.stuck("a")
    assert not guard.stuck("b")


def test_zero_turns_hint_and_end_off() -> None:
    guard = LoopGuard(hint_after=0, stop_after=0)
    for _ in range(100):
        guard.note("a", TAP)
    assert guard.hint("a") == ""
    assert not guard.stuck("a")


@pytest.mark.parametrize("wrong", [{"max_steps": 0}, {"mistakes_in_a_row": 0}, {"hint_after": -1}])
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        AgentConfig(**wrong)


def test_settings_survive_the_record() -> None:
    config = AgentConfig(form="tool_call", blind=True, max_steps=7)
    assert AgentConfig.from_json({**config.to_json(), "from_the_future": 1}) == config
