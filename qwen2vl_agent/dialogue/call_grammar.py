"""The grammar of one call: from the tools' schemas to what a model may write after a call's first mark.

Calls are written as `render_call` writes them: arguments in the schema's order, one space after colons and commas. One
spelling leaves nothing to choose about names, quotes and brackets, so all of these can be forced.

Source of the notation: llguidance, docs/syntax.md (Lark with embedded JSON schemas).
"""

import json
from collections.abc import Sequence
from typing import Any

from qwen2vl_agent.dialogue.lenient_json import write_json
from qwen2vl_agent.dialogue.tool_call import ARGS, CLOSE, FUNCTION, OPEN, RESULT
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.schema.tools import ToolSpec
from qwen2vl_agent.schema.trajectory import CallForm

MARK = FUNCTION[0]
"""The flower that all keywords of the keyword form begin with; a thought has no other use for it."""
FIRST_MARK: dict[CallForm, str] = {"keyword": MARK, "tool_call": OPEN}
"""With this a call begins; the grammar says what follows it."""
NOT_IN_THOUGHTS: dict[CallForm, tuple[str, ...]] = {"keyword": (), "tool_call": (CLOSE,)}
"""Would end the reply without a call."""

LARGEST = 10**15
"""Numbers without a limit end here: within it every whole number is exact in float64 too."""
LONGEST_TEXT = 2000
"""Characters of a string without a limit."""

_ESCAPE = (
    r'\\["\\\/bfnrt]|\\u([0-9abcefABCEF][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2}'
    r"|[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
)
"""One character, escaped: half of a surrogate pair is none."""
_CHARACTER: dict[CallForm, str] = {
    "keyword": rf'[^"\\\x00-\x1F\x7F{MARK}]|{_ESCAPE}',
    "tool_call": rf'[^"\\\x00-\x1F\x7F]|{_ESCAPE}',
}
_UNDERSTOOD = {
    "object": {"properties", "required", "additionalProperties"},
    "array": {"items", "minItems", "maxItems"},
    "string": {"minLength", "maxLength"},
    "integer": {"minimum", "maximum"},
    "number": {"minimum", "maximum"},
    "boolean": set(),
    "null": set(),
}
_REMARKS = {"type", "title", "description", "default", "examples"}


def call_grammar(tools: Sequence[ToolSpec], form: CallForm) -> str:
    """A Lark grammar of what follows the first mark of a call of one of `tools`, the mark at which it ends included.

    Raises:
        ConfigError: there is no tool, or a schema asks for something that this grammar does not know.
    """
    if not tools:
        raise ConfigError("no function may be called now: there is nothing to constrain a call to")
    grammar = _Grammar(form)
    calls = [f"{_opening(tool, form)} {grammar.value(tool.parameters, tool.name)}" for tool in tools]
    grammar.rules["call"] = " | ".join(calls)
    begin, end = (f"{FUNCTION[1:]}: ", f"\n{RESULT}") if form == "keyword" else ('\n{"name": ', f"}}\n{CLOSE}")
    lines = [f"start: {_text(begin)} call {_text(end)}", *(f"{name}: {rule}" for name, rule in grammar.rules.items())]
    return "\n".join(lines) + "\n"


def _opening(tool: ToolSpec, form: CallForm) -> str:
    if form == "keyword":
        return _text(f"{tool.name}\n{ARGS}: ")
    return _text(f'{write_json(tool.name)}, "arguments": ')


class _Grammar:
    """Collects rules; equal ones share a name."""

    def __init__(self, form: CallForm) -> None:
        self.form = form
        self.rules: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def value(self, schema: dict[str, Any], where: str) -> str:
        """The name of a rule (or the text itself) for the values of a schema."""
        if "enum" in schema or "const" in schema:
            options = schema["enum"] if "enum" in schema else [schema["const"]]
            if not options:
                raise ConfigError(f"{where}: the enumeration is empty")
            return self._rule(" | ".join(_text(write_json(option)) for option in options))
        kind = schema.get("type")
        if kind not in _UNDERSTOOD:
            raise ConfigError(f"{where}: the type {kind!r} cannot be constrained; use --no-constrained")
        if unknown := sorted(schema.keys() - _UNDERSTOOD[kind] - _REMARKS):
            raise ConfigError(f"{where}: {unknown[0]!r} cannot be constrained; use --no-constrained")
        if kind in ("object", "array"):
            return (self._object if kind == "object" else self._array)(schema, where)
        if kind == "string":
            return self._string(schema, where)
        if kind in ("integer", "number"):
            return self._number(schema, where)
        return self._rule('"true" | "false"' if kind == "boolean" else '"null"')

    def _rule(self, rule: str, prefix: str = "v") -> str:
        if rule not in self._names:
            self._names[rule] = name = f"{prefix}{len(self._names)}"
            self.rules[name] = rule
        return self._names[rule]

    def _object(self, schema: dict[str, Any], where: str) -> str:
        """Arguments in order, the optional ones left out or not; the first one written has no comma before it."""
        required = schema.get("required", [])
        entries = [
            (f"{_text(f'{write_json(name)}: ')} {self.value(value, f'{where}.{name}')}", name in required)
            for name, value in schema.get("properties", {}).items()
        ]
        ways, more = [], '"}"'
        for entry, needed in reversed(entries):
            ways.append(f"{entry} {more}")  # written first, those before it left out
            rest = f'", " {entry} {more}'
            more = self._rule(rest if needed else f"{rest} | {more}")
            if needed:
                ways = ways[-1:]
        if not any(needed for _, needed in entries):
            ways.append('"}"')
        return self._rule(f'"{{" ({" | ".join(ways)})')

    def _array(self, schema: dict[str, Any], where: str) -> str:
        item = self.value(schema.get("items", {}), f"{where}[]")
        least, most = schema.get("minItems", 0), schema.get("maxItems")
        if most is not None and most < least:
            raise ConfigError(f"{where}: maxItems is below minItems")
        if most == 0:
            return self._rule('"[]"')
        more = _repeated(f'(", " {item})', max(0, least - 1), None if most is None else most - 1)
        return self._rule(f'"[" {item} {more} "]"' if least else f'"[" ({item} {more})? "]"')

    def _string(self, schema: dict[str, Any], where: str) -> str:
        least, most = schema.get("minLength", 0), schema.get("maxLength", LONGEST_TEXT)
        if most < least:
            raise ConfigError(f"{where}: maxLength is below minLength")
        character = self._rule(f"/{_CHARACTER[self.form]}/", "CHARACTER")
        text = f'"\\"" {_repeated(character, least, most)} "\\""'
        return self._rule(f"({text}) & /{_without('</tool_')}/" if self.form == "tool_call" else text, "TEXT")

    def _number(self, schema: dict[str, Any], where: str) -> str:
        low, high = max(schema.get("minimum", -LARGEST), -LARGEST), min(schema.get("maximum", LARGEST), LARGEST)
        if high < low:
            raise ConfigError(f"{where}: maximum is below minimum")
        return self._rule(f"%json {json.dumps({'type': schema['type'], 'minimum': low, 'maximum': high})}")


def _repeated(rule: str, least: int, most: int | None) -> str:
    """`rule{2,5}`; nothing where there may be none, which the notation does not know."""
    return "" if most == 0 else f"{rule}{{{least},{'' if most is None else most}}}"


def _text(text: str) -> str:
    """A literal in Lark's spelling."""
    return json.dumps(text, ensure_ascii=False)


def _without(mark: str) -> str:
    r"""A regular expression of the texts that do not contain `mark`, whose first character is nowhere else in it.

    For `</t`: a beginning of the mark (`<`, `</`) is followed by what does not lengthen it, or by the next beginning.
    """
    first = mark[0]
    begun = [mark[:size] for size in range(1, len(mark))]
    begins = "|".join(map(_escaped, begun))
    broken = "|".join(f"{_escaped(text)}[^{_escaped(first + mark[len(text)])}]" for text in begun)
    return f"([^{first}]|({begins})*({broken}))*({begins})*"


def _escaped(text: str) -> str:
    return text.replace("/", r"\/")
