"""Type match and exact match agree with steps scored by hand from the published rules."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen2vl_agent.bench.call_match import NO_CALL, match_action, match_call, same_tap, text_ratio
from qwen2vl_agent.data.aitz import AitzAction, action_of, call_of, direction_of
from qwen2vl_agent.schema.tools import ToolCall

ELEMENT = (0.1, 0.1, 0.5, 0.1)
"""From 0.1 to 0.6 across, 0.1 to 0.2 down; grown it begins at x 0, y 0.03 and is 1 wide, 0.24 high."""


def click(x: float, y: float) -> AitzAction:
    return AitzAction("click", (x, y))


def box(left: float, top: float, width: float, height: float) -> AitzAction:
    return AitzAction("click", box=(left, top, width, height))


@pytest.mark.parametrize(
    ("truth", "said", "elements", "exact"),
    [
        (click(0.5, 0.5), click(0.5, 0.63), (), True),  # 0.13 away
        (click(0.5, 0.5), click(0.5, 0.65), (), False),  # 0.15 away
        (click(0.5, 0.5), click(0.6, 0.6), (), False),  # 0.1414 away
        (click(0.15, 0.15), click(0.95, 0.15), (ELEMENT,), True),  # far, in the same grown element
        (click(0.15, 0.15), click(0.95, 0.3), (ELEMENT,), False),  # below it: 0.03 + 0.24 = 0.27
        (click(0.15, 0.9), click(0.5, 0.15), (ELEMENT,), False),  # one in it, one not
        (click(0.5, 0.5), box(0.4, 0.4, 0.2, 0.2), (), True),
        (click(0.605, 0.5), box(0.4, 0.4, 0.2, 0.2), (), True),  # 1.2 times as wide: up to 0.62
        (click(0.63, 0.5), box(0.4, 0.4, 0.2, 0.2), (), False),
        (click(0.15, 0.15), box(0.2, 0.1, 0.4, 0.1), (ELEMENT,), True),  # covers 4/5 of the element
        (click(0.12, 0.15), box(0.45, 0.1, 0.15, 0.1), (ELEMENT,), False),  # covers 3/10 of it
        (
            AitzAction("type", text="new york"),
            AitzAction("type", text="New York City"),
            (),
            False,
        ),  # case counts: 14/21
        (AitzAction("type", text="new york"), AitzAction("type", text="new york city"), (), True),  # held
        (AitzAction("type", text="pizza hut"), AitzAction("type", text="piza huts"), (), True),  # 2 * 8 / 18 = 0.89
        (AitzAction("type", text="pizza"), AitzAction("type", text="pasta"), (), False),  # 2 * 3 / 10
        (AitzAction("type", text="pizza"), AitzAction("type", text=""), (), True),  # as published: nothing is held
        (AitzAction("scroll", direction="up"), AitzAction("scroll", direction="up"), (), True),
        (AitzAction("scroll", direction="up"), AitzAction("scroll", direction="down"), (), False),
        (AitzAction("press", button="home"), AitzAction("press", button="home"), (), True),
        (AitzAction("press", button="home"), AitzAction("press", button="back"), (), False),
        (AitzAction("stop"), AitzAction("stop", impossible=True), (), True),
    ],
)
def test_steps_of_the_right_kind_scored_by_hand(truth, said, elements, exact):
    match = match_action(truth, said, elements)
    assert (match.readable, match.type, match.exact) == (True, True, exact)


def test_another_kind_is_no_match_and_no_call_is_not_read():
    match = match_action(click(0.5, 0.5), AitzAction("scroll", direction="up"), ())
    assert (match.readable, match.type, match.exact) == (True, False, False)
    assert match_action(click(0.5, 0.5), None, ()) == NO_CALL


@pytest.mark.parametrize(
    ("start", "end", "way"),
    [
        ((0.507, 0.541), (0.579, 0.001), "up"),  # the scroll of the data set's own example
        ((0.5, 0.2), (0.5, 0.8), "down"),
        ((0.9, 0.5), (0.1, 0.5), "left"),
        ((0.1, 0.5), (0.6, 0.05), "up"),  # 0.45 up, 0.5 aside: 0.9 of it is vertical still
        ((0.1, 0.5), (0.6, 0.06), "right"),
    ],
)
def test_the_way_of_a_finger(start, end, way):
    assert direction_of(start, end) == way


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("tap", {"point": [500, 250]}, AitzAction("click", (0.5005, 0.2505))),
        ("type_text", {"text": "a"}, AitzAction("type", text="a")),
        ("press_key", {"name": "back"}, AitzAction("press", button="back")),
        ("done", {"status": "failure"}, AitzAction("stop", impossible=True)),
        ("answer", {"text": "7"}, AitzAction("stop")),
        ("open_app", {"name": "Clock"}, None),
        ("long_press", {"point": [1, 2]}, None),
    ],
)
def test_calls_become_the_kinds_of_the_data_set(name, arguments, expected):
    assert action_of(ToolCall(name, arguments)) == expected


@given(st.tuples(st.integers(0, 999), st.integers(0, 999)), st.tuples(st.integers(0, 999), st.integers(0, 999)))
def test_calls_survive_the_way_there_and_back(one, other):
    for call in (ToolCall("tap", {"point": [*one]}), ToolCall("swipe", {"start": [*one], "end": [*other]})):
        action = action_of(call)
        assert action is not None
        assert call_of(action) == call
        assert match_action(action, action, ()).exact


@given(st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_the_ratio_of_texts_counts_the_longest_letters_in_common(one, other):
    common = {"".join(some) for size in range(len(one) + 1) for some in combinations(one, size)}
    others = [some for size in range(len(other) + 1) for some in combinations(other, size)]
    shared = max(len(some) for some in others if "".join(some) in common)
    assert text_ratio(one, other) == (2 * shared / (len(one) + len(other)) if one or other else 1)


def test_ratios_worked_out_by_hand():
    assert text_ratio("cat", "cart") == pytest.approx(6 / 7)
    assert text_ratio("", "") == 1
    assert text_ratio("", "a") == 0
    assert text_ratio("ab", "ba") == 0.5


@given(st.tuples(st.floats(0, 1), st.floats(0, 1)), st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_being_the_same_tap_does_not_depend_on_the_order(one, other):
    assert same_tap(one, other, (ELEMENT,)) == same_tap(other, one, (ELEMENT,))


@pytest.mark.parametrize(
    ("given_call", "type_match", "exact"),
    [
        (ToolCall("book", {"city": "Oslo", "nights": 2}), True, True),
        (ToolCall("book", {"nights": 2.0, "city": " Oslo "}), True, True),
        (ToolCall("book", {"city": "Oslo"}), True, False),
        (ToolCall("book", {"city": "Oslo", "nights": 3}), True, False),
        (ToolCall("book", {"city": "Oslo", "nights": "2"}), True, False),
        (ToolCall("book", {"city": "Oslo", "nights": True}), True, False),
        (ToolCall("cancel", {"city": "Oslo", "nights": 2}), False, False),
        (None, False, False),
    ],
)
def test_function_calls_scored_by_hand(given_call, type_match, exact):
    match = match_call(ToolCall("book", {"city": "Oslo", "nights": 2}), given_call)
    assert (match.type, match.exact) == (type_match, exact)
