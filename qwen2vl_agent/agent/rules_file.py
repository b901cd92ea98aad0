"""Rules as people write them: a small TOML file.

default = "auto"                       # where no rule matches: auto, ask or deny

[budget]
steps = 40
seconds = 600
tokens = 200000

[[rule]]
function = "open_app"
unless.name = ["Clock", "Settings"]    # an allow-list
then = "deny"

[[rule]]
function = ["tap", "long_press"]
inside = [0, 900, 1000, 1000]          # left, top, right, bottom; the screen is 1000 by 1000
then = ["ask", "deny"]                 # with nobody to ask: deny
reason = "the lowest tenth holds the button that pays"

[[rule]]
function = "type_text"
when.text = { matches = '\\d{12,}' }
then = "deny"

[[rule]]
secret = "password:bank"
when.app = "com.example.bank"          # the app in front, by its package
then = "auto"
"""

import re
import tomllib
from pathlib import Path
from typing import Any, cast

from qwen2vl_agent.agent.rules import Budget, Rule, Rules, Test, Way
from qwen2vl_agent.schema.actions import PHONE_ACTIONS
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.schema.geometry import MODEL_GRID
from qwen2vl_agent.schema.tools import tool_name, tool_spec

WAYS = ("auto", "ask", "deny")
KEYS = ("default", "budget", "rule")
RULE_KEYS = ("function", "when", "unless", "inside", "secret", "then", "auto_times", "reason")


def read_rules(path: Path, tools: tuple[type, ...] = PHONE_ACTIONS) -> Rules:
    """The rules in a file; `tools` are the functions that they may name.

    Raises:
        ConfigError: it cannot be read, or says what rules cannot mean.
    """
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"--rules {path}: it cannot be read ({error})") from error
    try:
        return rules_from(values, tools)
    except ConfigError as error:
        raise ConfigError(f"--rules {path}: {error}") from None


def rules_from(values: dict[str, Any], tools: tuple[type, ...] = PHONE_ACTIONS) -> Rules:
    """The rules that a file's content means; `tools` are the functions that they may name.

    Raises:
        ConfigError: an unknown key, function or way, or a value of the wrong kind.
    """
    _known(values, KEYS, "the file")
    budget = values.get("budget", {})
    _known(budget, ("steps", "seconds", "tokens"), "[budget]")
    if wrong := [name for name, value in budget.items() if not _is_number(value)]:
        raise ConfigError(f"[budget] {wrong[0]} is {budget[wrong[0]]!r}; expected a number")
    listed = values.get("rule", [])
    if not isinstance(listed, list):
        raise ConfigError("rules are written [[rule]], with double brackets")
    try:
        limits = Budget(**budget)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    return Rules(
        rules=tuple(_rule(rule, f"rule {number}", tools) for number, rule in enumerate(listed, start=1)),
        default=_chain(values.get("default", "auto"), "default"),
        budget=limits,
        source=values,
    )


def _rule(values: Any, where: str, tools: tuple[type, ...]) -> Rule:
    if not isinstance(values, dict):
        raise ConfigError(f"{where} is {values!r}; expected a table")
    _known(values, RULE_KEYS, where)
    if "then" not in values:
        raise ConfigError(f"{where} says nothing of what is to happen; add then = auto, ask or deny")
    times = values.get("auto_times")
    whole = isinstance(times, int) or (isinstance(times, float) and times.is_integer())
    if times is not None and (not _is_number(times) or not whole or times < 1):
        raise ConfigError(f"{where}: auto_times is {times!r}; expected a whole number of at least 1")
    functions = _functions(values.get("function", []), where, tools)
    return Rule(
        then=_chain(values["then"], where),
        functions=functions,
        when=_tests(values.get("when", {}), f"{where}: when", functions, tools),
        unless=_tests(values.get("unless", {}), f"{where}: unless", functions, tools),
        inside=_region(values["inside"], where) if "inside" in values else None,
        secret=_text(values.get("secret", ""), f"{where}: secret"),
        auto_times=times,
        reason=_text(values.get("reason", ""), f"{where}: reason"),
    )


def _chain(value: Any, where: str) -> tuple[Way, ...]:
    chain = value if isinstance(value, list) else [value]
    if wrong := [way for way in chain if way not in WAYS]:
        raise ConfigError(f"{where}: {wrong[0]!r} is no way to decide; expected auto, ask or deny")
    if not chain:
        raise ConfigError(f"{where}: an empty list decides nothing; expected auto, ask or deny")
    return cast(tuple[Way, ...], tuple(chain))


def _functions(value: Any, where: str, tools: tuple[type, ...]) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else value
    known = [tool_name(tool) for tool in tools]
    if not isinstance(names, list):
        raise ConfigError(f"{where}: function is {value!r}; expected a name or a list of names")
    if unknown := [name for name in names if name not in known]:
        raise ConfigError(f"{where}: there is no function {unknown[0]!r}; expected one of {', '.join(known)}")
    return tuple(names)


def _tests(values: Any, where: str, functions: tuple[str, ...], tools: tuple[type, ...]) -> dict[str, Test]:
    if not isinstance(values, dict):
        raise ConfigError(f"{where} is {values!r}; expected arguments with their values")
    known = {"app"} | {
        name
        for tool in tools
        if not functions or tool_name(tool) in functions
        for name in tool_spec(tool).parameters["properties"]
    }
    if unknown := [name for name in values if name not in known]:
        named = ", ".join(functions) or "any function"
        raise ConfigError(f"{where}: {named} has no argument {unknown[0]!r}; expected {', '.join(sorted(known))}")
    return {name: _test(value, f"{where}.{name}") for name, value in values.items()}


def _test(value: Any, where: str) -> Test:
    if isinstance(value, dict):
        _known(value, ("matches",), where)
        try:
            return Test(pattern=re.compile(_text(value.get("matches", ""), where)))
        except re.error as error:
            raise ConfigError(f"{where}: {value['matches']!r} is no regular expression ({error})") from None
    options = value if isinstance(value, list) else [value]
    if wrong := [option for option in options if not isinstance(option, str | int | float | bool)]:
        raise ConfigError(f"{where} is {wrong[0]!r}; expected a text, a list of texts, or {{ matches = 'pattern' }}")
    texts = ("true" if o is True else "false" if o is False else str(o) for o in options)
    return Test(options=tuple(text.strip().casefold() for text in texts))


def _region(value: Any, where: str) -> tuple[int, int, int, int]:
    numbers = isinstance(value, list) and len(value) == 4 and all(isinstance(number, int) for number in value)
    if numbers:
        left, top, right, bottom = value
        if 0 <= left < right <= MODEL_GRID and 0 <= top < bottom <= MODEL_GRID:
            return left, top, right, bottom
    raise ConfigError(f"{where}: inside is {value!r}; expected [left, top, right, bottom] between 0 and {MODEL_GRID}")


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{where} is {value!r}; expected a text")
    return value


def _known(values: Any, keys: tuple[str, ...], where: str) -> None:
    if not isinstance(values, dict):
        raise ConfigError(f"{where} is {values!r}; expected a table")
    if unknown := [key for key in values if key not in keys]:
        raise ConfigError(f"{where} has {unknown[0]!r}; expected {', '.join(keys)}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
