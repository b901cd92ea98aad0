"""Acting is measured along the bundled solutions: one who knows them is always right, one who waits hardly ever."""

import pytest

from qwen2vl_agent.agent.scripted import NoOpPolicy, OraclePolicy
from qwen2vl_agent.agent.settings import AgentConfig
from qwen2vl_agent.envs.suite import Suite
from qwen2vl_agent.recipes import tiny_acting
from qwen2vl_agent.recipes.tiny_acting import action_accuracy


@pytest.fixture(autouse=True)
def two_tasks(monkeypatch):
    two = Suite("phone", ("contacts.read_number", "launcher.open_app"), str)
    monkeypatch.setattr(tiny_acting, "get_suite", lambda _: two)


def test_one_who_does_as_the_solution_is_always_right():
    score = action_accuracy(OraclePolicy(), AgentConfig(), seed=4, episodes=2)
    assert score.share == 1.0
    assert score.asked > 8


def test_one_who_waits_is_never_right_and_the_episodes_still_go_to_their_end():
    score = action_accuracy(NoOpPolicy(), AgentConfig(), seed=4, episodes=2)
    assert score.right == 0
    assert score.asked == action_accuracy(OraclePolicy(), AgentConfig(), seed=4, episodes=2).asked
