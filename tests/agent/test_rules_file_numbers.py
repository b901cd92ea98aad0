"""Numbers in a file of rules that are no counts."""

import pytest

from qwen2vl_agent.agent.rules_file import rules_from
from qwen2vl_agent.schema.errors import ConfigError


def rule(times: object) -> dict[str, object]:
    return {"rule": [{"function": "tap", "then": ["auto", "deny"], "auto_times": times}]}


@pytest.mark.parametrize("times", [float("inf"), float("nan"), 0, -1, 2.5, "2", True])
def test_what_is_no_count_is_refused(times):
    with pytest.raises(ConfigError, match="auto_times"):
        rules_from(rule(times))


@pytest.mark.parametrize("times", [1, 2.0, 10**400])
def test_whole_numbers_are_taken(times):
    assert rules_from(rule(times)).rules[0].auto_times == times
