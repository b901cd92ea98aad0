"""Rules decide on a call before anything reaches the device."""

from pathlib import Path

import pytest
from corridor import Corridor, Says, call

from qwen2vl_agent.agent.episode import drive_plainly, run_episode
from qwen2vl_agent.agent.policy import scripted_policy
from qwen2vl_agent.agent.rules import Judge, Rules, over_budget
from qwen2vl_agent.agent.rules_file import read_rules, rules_from
from qwen2vl_agent.agent.settings import EpisodePlan
from qwen2vl_agent.schema.actions import PHONE_ACTIONS
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.schema.tools import ToolCall, to_action
from qwen2vl_agent.trajectory.store import read_episode


def judged(rules: Rules, *calls: ToolCall, somebody: bool = False, app: str = "") -> list[str]:
    """The ways of calls made one after the other; those that pass are counted."""
    judge, ways = Judge(rules, lambda: app), []
    for one in calls:
        said = judge.judge(one, to_action(one, PHONE_ACTIONS), somebody)
        ways.append(said.way)
        if said.way == "auto":
            judge.note(one, said.rule)
    return ways


def one(then: object, **rule: object) -> Rules:
    return rules_from({"rule": [{"then": then, **rule}]})


def tap(x: int, y: int) -> ToolCall:
    return ToolCall("tap", {"point": [x, y]})


def swipe(start: list[int], end: list[int]) -> ToolCall:
    return ToolCall("swipe", {"start": start, "end": end})


def typed(text: str) -> ToolCall:
    return ToolCall("type_text", {"text": text})


def test_a_rule_matches_function_and_arguments() -> None:
    rules = one("deny", function="press_key", when={"name": ["power", "menu"]})
    keys = [ToolCall("press_key", {"name": name}) for name in ("power", "back", "menu")]
    assert judged(rules, *keys, tap(1, 1)) == ["deny", "auto", "deny", "auto"]


def test_an_allow_list_is_an_unless() -> None:
    rules = one("deny", function="open_app", unless={"name": ["Clock", "Settings"]})
    assert judged(rules, *(ToolCall("open_app", {"name": name}) for name in ("clock ", "Bank"))) == ["auto", "deny"]


def test_a_region_stops_points_and_the_ways_of_swipes() -> None:
    rules = one("deny", inside=[400, 400, 600, 600])
    assert judged(rules, tap(400, 599), tap(399, 500), tap(600, 500)) == ["deny", "auto", "auto"]
    assert judged(rules, swipe([100, 100], [900, 900]), swipe([100, 500], [300, 500])) == ["deny", "auto"]
    assert judged(rules, swipe([100, 900], [900, 700]), swipe([500, 100], [500, 500])) == ["auto", "deny"]
    assert judged(rules, ToolCall("long_press", {"point": [500, 500]}), typed("500")) == ["deny", "auto"]


def test_a_text_that_is_typed_in_pieces_is_still_that_text() -> None:
    rules = one("deny", function="type_text", when={"text": {"matches": r"\d{8}"}})
    assert judged(rules, typed("1234"), typed("5678"), typed("hello"), typed("12345678")) == [
        "auto", "deny", "auto", "deny",
    ]  # fmt: skip


def test_the_first_rule_that_matches_decides_and_the_default_follows() -> None:
    rules = rules_from(
        {"default": "deny", "rule": [{"then": "auto", "when": {"app": "org.ok"}}, {"then": "ask", "function": "tap"}]}
    )
    assert judged(rules, tap(1, 1), app="org.ok") == ["auto"]
    assert judged(rules, tap(1, 1), typed("x"), somebody=True) == ["ask", "deny"]


def test_what_touches_nothing_needs_to_be_named_to_be_stopped() -> None:
    calls = [ToolCall("done"), ToolCall("note", {"text": "x"}), ToolCall("wait"), tap(1, 1)]
    assert judged(one("deny"), *calls) == ["auto", "auto", "auto", "deny"]
    assert judged(one("deny", function="done"), *calls) == ["deny", "auto", "auto", "auto"]


def test_a_chain_goes_from_auto_to_ask_to_deny() -> None:
    rules = one(["auto", "ask", "deny"], function="tap", auto_times=2)
    assert judged(rules, *[tap(1, 1)] * 3, somebody=True) == ["auto", "auto", "ask"]
    assert judged(rules, *[tap(1, 1)] * 3, somebody=False) == ["auto", "auto", "deny"]
    assert judged(one("ask"), tap(1, 1)) == ["deny"]


def test_a_secret_is_asked_about_unless_a_rule_says_where_it_may_be_typed() -> None:
    secret = typed("{{password:bank}}")
    assert judged(Rules(), secret) == ["deny"]
    assert judged(Rules(), secret, somebody=True) == ["ask"]
    rules = one("auto", secret="password:bank", when={"app": "com.bank"})
    assert judged(rules, secret, app="com.bank") == ["auto"]
    assert judged(rules, secret, app="com.chat") == ["deny"]
    assert judged(rules, typed("{{ password:mail }}"), app="com.bank") == ["deny"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("rule = 1", "double brackets"),
        ("[[rule]]\nfunction = 'fly'\nthen = 'deny'", "no function 'fly'"),
        ("[[rule]]\nfunction = 'tap'", "nothing of what is to happen"),
        ("[[rule]]\nthen = 'maybe'", "'maybe' is no way"),
        ("[[rule]]\nthen = 'deny'\ninside = [0, 0, 2000, 10]", "between 0 and 1000"),
        ("[[rule]]\nthen = 'deny'\nfunction = 'tap'\nwhen.text = 'x'", "tap has no argument 'text'"),
        ("[[rule]]\nthen = 'deny'\nwhen.text = { matches = '(' }", "no regular expression"),
        ("[budget]\nsteps = 0", "allows nothing"),
        ("[budget]\nsteps = 'many'", "expected a number"),
        ("budget = 3", "expected a table"),
        ("fallback = 'deny'", "'fallback'"),
        ("= 3", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_in_a_line(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=told) as caught:
        read_rules(path)
    assert str(caught.value).startswith(f"--rules {path}: ")


def test_the_documented_example_is_valid(tmp_path: Path) -> None:
    from qwen2vl_agent.agent import rules_file

    text = rules_file.__doc__ or ""
    path = tmp_path / "rules.toml"
    path.write_text(text.partition("\n\n")[2])
    rules = read_rules(path)
    assert len(rules.rules) == 4
    assert judged(rules, typed("123456789012"), typed("ok"), tap(500, 950)) == ["deny", "auto", "deny"]


TAP, POWER = call("tap", '{"point": [750, 500]}'), call("press_key", '{"name": "power"}')


@pytest.mark.parametrize("drive", [None, drive_plainly])
def test_a_denied_call_never_reaches_the_environment_and_is_told(tmp_path: Path, drive: object) -> None:
    env, rules = Corridor(), one("deny", function="press_key", when={"name": "power"}, reason="it stays on")
    policy = Says(TAP, POWER, TAP, TAP, call("done"))
    plan = EpisodePlan(out=tmp_path, rules=rules)
    trajectory = run_episode(env, policy, plan, drive=drive)  # type: ignore[arg-type]
    assert [type(action).__name__ for action in env.received] == ["Tap", "Tap", "Tap", "Done"]
    assert (trajectory.steps[1].performed, trajectory.steps[1].events) == (None, ("denied",))
    assert policy.contexts[2].turns[1].result_text == "this call is not allowed: it stays on; nothing was done"
    assert trajectory.header.config["rules"]["rule"][0]["reason"] == "it stays on"
    assert trajectory.header.outcome == "success"


def test_a_model_that_insists_is_ended(tmp_path: Path) -> None:
    env = Corridor()
    trajectory = run_episode(env, Says(POWER), EpisodePlan(out=tmp_path, rules=one("deny", function="press_key")))
    assert (trajectory.header.outcome, env.received) == ("failure", [])
    assert "5 calls in a row" in trajectory.header.message


def test_the_records_rules_hold_when_an_episode_goes_on(tmp_path: Path) -> None:
    rules = one(["auto", "deny"], function="tap", auto_times=2)
    plan = EpisodePlan(out=tmp_path, seed=1, rules=rules)
    env = Corridor(interrupt_at=2)
    run_episode(env, scripted_policy("oracle"), plan)
    assert len(env.received) == 2
    again = run_episode(env, scripted_policy("oracle"), EpisodePlan(out=tmp_path, seed=1, resume="replay"))
    assert len(env.received) == 2  # the two that were done again; the third is one too many
    assert {step.events for step in again.steps[2:]} == {("denied",), ("loop", "denied")}


def test_a_budget_ends_an_episode_and_its_past_counts_when_it_goes_on(tmp_path: Path) -> None:
    plan = EpisodePlan(out=tmp_path, seed=1, rules=rules_from({"budget": {"steps": 3}}))
    env = Corridor(interrupt_at=2)
    run_episode(env, scripted_policy("oracle"), plan)
    ended = run_episode(env, scripted_policy("oracle"), EpisodePlan(out=tmp_path, seed=1, resume="replay"))
    assert ended.header.message == "the budget of 3 steps is spent after 3 steps"
    assert len(read_episode(tmp_path).steps) == 3


def test_each_limit_of_a_budget_is_told() -> None:
    budget = rules_from({"budget": {"steps": 5, "seconds": 1.5, "tokens": 100}}).budget
    assert over_budget(budget, 4, 1.4, 99) == ""
    assert "5 steps" in over_budget(budget, 5, 0, 0)
    assert "1.5 seconds" in over_budget(budget, 1, 1.5, 0)
    assert "100 tokens" in over_budget(budget, 1, 0, 100)
