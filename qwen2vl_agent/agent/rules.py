"""Rules of what an agent may do, decided on the call alone, before anything reaches the device.

The first rule that matches a call decides. A rule sees the function, its arguments, the place that is touched and the
app in front; never what a screen says, so nothing that is written on one can widen what is allowed.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from qwen2vl_agent.envs.secrets import secrets_in
from qwen2vl_agent.schema.geometry import MODEL_FRAME, Point
from qwen2vl_agent.schema.tools import ToolCall, tool_name

Way = Literal["auto", "ask", "deny"]
ENDINGS = ("done", "answer", "note", "ask_user", "wait")
"""Functions that touch nothing. Only a rule that names them decides about them."""
TYPED_KEPT = 4000
"""So many of the characters typed last are matched together: a text cut into pieces is still that text."""


@dataclass(frozen=True, slots=True)
class Test:
    """What a value must be: one of some texts (capitals do not count), or like a pattern."""

    options: tuple[str, ...] = ()
    pattern: re.Pattern[str] | None = None

    def holds(self, value: Any, before: str = "") -> bool:
        """Whether it is so; a pattern may begin in what came `before` the value."""
        text = _as_text(value)
        if self.pattern is None:
            return text.strip().casefold() in self.options
        return any(found.end() > len(before) for found in self.pattern.finditer(before + text))


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; what is left out matches everything."""

    then: tuple[Way, ...]
    """Tried in order. `auto` does it, as often as `auto_times` says; `ask` asks the person, if one is there."""
    functions: tuple[str, ...] = ()
    """Names of functions; none: every one that touches the device."""
    when: dict[str, Test] = field(default_factory=dict)
    """Tests that must all hold, by the argument's name; `app` is the app in front, by its package."""
    unless: dict[str, Test] = field(default_factory=dict)
    """Tests of which none may hold."""
    inside: tuple[int, int, int, int] | None = None
    """Left, top, right, bottom in the model's grid (0 to 1000): a point or a swipe's way must meet it."""
    secret: str = ""
    """Name of a secret that the call uses, `*` for any."""
    auto_times: int | None = None
    """So many calls of an episode pass by `auto`; None: all."""
    reason: str = ""
    """What the model and the person are told."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """What an episode may cost; None: no limit."""

    steps: int | None = None
    seconds: float | None = None
    """Of thinking and acting; waiting for a person is not counted."""
    tokens: int | None = None
    """Read and written."""

    def __post_init__(self) -> None:
        for name in ("steps", "seconds", "tokens"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"a budget of {value} {name} allows nothing; expected more than 0")


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """All that holds for a run."""

    rules: tuple[Rule, ...] = ()
    default: tuple[Way, ...] = ("auto",)
    """Where no rule matches."""
    budget: Budget = field(default_factory=Budget)
    source: dict[str, Any] = field(default_factory=dict)
    """As the file has it, for the record."""


ANY_SECRET = Rule(("ask", "deny"), secret="*", reason="it fills in a secret, and no rule says where that may be done")
"""Holds after all other rules: a screen that asks for a secret by its name does not get it."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the rules say of a call."""

    way: Way
    reason: str = ""
    rule: int = -1
    """Its place in the file; -1 where none matched."""


class Judge:
    """The rules at work in one episode: they count, and remember what was typed."""

    def __init__(self, rules: Rules, app: Callable[[], str] = lambda: "") -> None:
        """`app` tells the package in front; it is asked only where a rule wants to know."""
        self.rules = rules
        self._app = app
        self._passed: Counter[int] = Counter()
        self._typed = ""

    def judge(self, call: ToolCall, action: Any, somebody: bool) -> Judgement:
        """What is to happen with a call; `somebody` tells whether there is anyone to ask."""
        for place, rule in self._all():
            if self._matches(rule, call, action):
                return self._settled(rule.then, rule, place, somebody)
        return self._settled(self.rules.default, Rule(self.rules.default), -1, somebody)

    def note(self, call: ToolCall, place: int) -> None:
        """Count a call that was done under the rule at `place`."""
        self._passed[place] += 1
        if call.name == "type_text":
            self._typed = (self._typed + _as_text(call.arguments.get("text", "")))[-TYPED_KEPT:]

    def _all(self) -> Iterator[tuple[int, Rule]]:
        yield from enumerate(self.rules.rules)
        yield len(self.rules.rules), ANY_SECRET

    def _settled(self, chain: Sequence[Way], rule: Rule, place: int, somebody: bool) -> Judgement:
        for way in chain:
            spent = rule.auto_times is not None and self._passed[place] >= rule.auto_times
            if (way == "auto" and spent) or (way == "ask" and not somebody):
                continue
            return Judgement(way, rule.reason, place)
        missing = "nobody is there to approve it" if "ask" in chain else "it was done as often as it may be"
        return Judgement("deny", rule.reason or missing, place)

    def _matches(self, rule: Rule, call: ToolCall, action: Any) -> bool:
        named = call.name in rule.functions if rule.functions else call.name not in ENDINGS or bool(rule.secret)
        if not named:
            return False
        if rule.secret and not _uses(rule.secret, call):
            return False
        if rule.inside is not None and not _meets(rule.inside, action):
            return False
        if not all(self._holds(name, test, call, action) for name, test in rule.when.items()):
            return False
        return not any(self._holds(name, test, call, action) for name, test in rule.unless.items())

    def _holds(self, name: str, test: Test, call: ToolCall, action: Any) -> bool:
        if name == "app":
            return test.holds(self._app())
        if not hasattr(action, name):
            return False
        before = self._typed if (call.name, name) == ("type_text", "text") else ""
        return test.holds(getattr(action, name), before)


def over_budget(budget: Budget, steps: int, seconds: float, tokens: int) -> str:
    """Which limit is reached, in words; empty where none is."""
    if budget.steps is not None and steps >= budget.steps:
        return f"the budget of {budget.steps} steps is spent"
    if budget.seconds is not None and seconds >= budget.seconds:
        return f"the budget of {budget.seconds:g} seconds is spent"
    if budget.tokens is not None and tokens >= budget.tokens:
        return f"the budget of {budget.tokens} tokens is spent"
    return ""


def _uses(secret: str, call: ToolCall) -> bool:
    names = [name for value in call.arguments.values() for name in secrets_in(_as_text(value))]
    return bool(names) if secret == "*" else secret in names


def _meets(region: tuple[int, int, int, int], action: Any) -> bool:
    """Whether an action touches the region: with a point, or on the straight way between two."""
    names = getattr(type(action), "__dataclass_fields__", {})
    points = [value.to(MODEL_FRAME) for name in names if isinstance(value := getattr(action, name), Point)]
    if tool_name(type(action)) == "swipe" and len(points) == 2:
        return _crosses(region, points[0], points[1])
    return any(_within(region, point) for point in points)


def _within(region: tuple[int, int, int, int], point: Point) -> bool:
    left, top, right, bottom = region
    return left <= point.x < right and top <= point.y < bottom


def _crosses(region: tuple[int, int, int, int], start: Point, end: Point) -> bool:
    """Whether the way between two points meets the region: it is cut down to what lies between each pair of sides.

    Source: Liang and Barsky, "A new concept and method for line clipping", ACM Transactions on Graphics 3 (1984).
    """
    left, top, right, bottom = region
    first, last = 0.0, 1.0
    for origin, way, low, high in (
        (start.x, end.x - start.x, left, right - 1),
        (start.y, end.y - start.y, top, bottom - 1),
    ):
        if way == 0:
            if not low <= origin <= high:
                return False
            continue
        enters, leaves = sorted(((low - origin) / way, (high - origin) / way))
        first, last = max(first, enters), min(last, leaves)
    return first <= last


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)
