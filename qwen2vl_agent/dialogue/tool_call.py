"""Calls in text: written, read back, and where a model stops after one.

Two forms. `keyword` is Qwen2-VL's own:

    Tap "Display".
    ✿FUNCTION✿: tap
    ✿ARGS✿: {"point": [348, 291]}
    ✿RESULT✿

`tool_call` is the one of later Qwen models:

    Tap "Display".
    <tool_call>
    {"name": "tap", "arguments": {"point": [348, 291]}}
    </tool_call>

Source: technical report §2.2; Qwen-Agent `fncall_prompts/qwen_fncall_prompt.py` and `nous_fncall_prompt.py`.
"""

import re
from dataclasses import dataclass
from typing import Any, Protocol

from qwen2vl_agent.dialogue.lenient_json import read_json, write_json
from qwen2vl_agent.schema.errors import ToolCallError
from qwen2vl_agent.schema.tools import ToolCall
from qwen2vl_agent.schema.trajectory import CallForm

FUNCTION, ARGS, RESULT, RETURN = "✿FUNCTION✿", "✿ARGS✿", "✿RESULT✿", "✿RETURN✿"
OPEN, CLOSE = "<tool_call>", "</tool_call>"

_STOPS: dict[CallForm, tuple[str, ...]] = {"keyword": (RESULT, RETURN), "tool_call": (CLOSE,)}
_EXPECTED = {
    "keyword": f'write {FUNCTION}: name, then on the next line {ARGS}: {{"argument": value}}',
    "tool_call": f'write {OPEN}{{"name": "…", "arguments": {{…}}}}{CLOSE}',
}
_KEYWORD_CALL = re.compile(rf"{FUNCTION}[ \t]*[:：]?[ \t]*(?P<name>[^\n✿]*?)[ \t]*(?=\n|✿|$)")
_KEYWORD_ARGS = re.compile(rf"\s*{ARGS}[ \t]*[:：]?\s*(?:```(?:json)?\s*)?")
_NAME = re.compile(r"[\w.\-]{1,64}")
_RESERVED = re.compile("✿*(FUNCTION|ARGS|RESULT|RETURN)✿+|✿+(FUNCTION|ARGS|RESULT|RETURN)")
_TAGS = re.compile(r"<(/?tool_(?:call|response))>")


@dataclass(frozen=True, slots=True)
class ParsedReply:
    """A reply taken apart."""

    thought: str
    """What stands before the call."""
    call: ToolCall


class OffsetTokenizer(Protocol):
    """Tells which characters each id covers."""

    def offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]: ...


def render_call(thought: str, call: ToolCall, form: CallForm) -> str:
    """The reply that a model should write; in the keyword form it ends with the keyword at which the model stops."""
    lead = f"{neutral(thought).strip()}\n" if thought.strip() else ""
    if form == "keyword":
        return f"{lead}{FUNCTION}: {call.name}\n{ARGS}: {write_json(call.arguments)}\n{RESULT}"
    return f"{lead}{OPEN}\n{write_json({'name': call.name, 'arguments': call.arguments})}\n{CLOSE}"


def parse_call(text: str, form: CallForm) -> ParsedReply:
    """The thought and the first call of a reply.

    Raises:
        ToolCallError: there is no call that can be read; the text tells the model what to write.
    """
    return _parse_keyword(text) if form == "keyword" else _parse_tagged(text)


def neutral(text: str) -> str:
    """`text` from outside, with the dialogue's own marks made harmless: `✿RESULT✿` becomes `RESULT`."""
    return _TAGS.sub(r"[\1]", _RESERVED.sub(r"\1\2", text))


def cut_at_stop(text: str, form: CallForm) -> str:
    """The reply without the mark at which the model stopped, and without anything that it wrote after.

    A tag `</tool_call>` closes the call and stays.
    """
    found = [(place, mark) for mark in _STOPS[form] if (place := text.find(mark)) >= 0]
    if not found:
        return text
    place, mark = min(found)
    return text[: place + len(mark)] if form == "tool_call" else text[:place].rstrip("\n")


def stop_sequences(form: CallForm, tokenizer: OffsetTokenizer) -> tuple[tuple[int, ...], ...]:
    """Id sequences at which generation ends, in every way in which the marks come out between common neighbours.

    A mark's first or last token may be joined with what stands beside it (`✿:`), so each sequence runs from the token
    that holds the mark's second character to the one that holds its last character.
    """
    found: dict[tuple[int, ...], None] = {}
    for mark in _STOPS[form]:
        for before in ("", "\n", "}\n", " ", "}", "a"):
            for after in ("", ":", ": ", "\n"):
                found[_covering(tokenizer, before, mark, after)] = None
    return tuple(found)


def _covering(tokenizer: OffsetTokenizer, before: str, mark: str, after: str) -> tuple[int, ...]:
    ids, offsets = tokenizer.offsets(before + mark + after)
    second, last = len(before) + 1, len(before) + len(mark) - 1
    return tuple(i for i, (start, end) in zip(ids, offsets, strict=True) if end > second and start <= last)


def _parse_keyword(text: str) -> ParsedReply:
    found = _KEYWORD_CALL.search(text)
    if found is None or any(mark in text[: found.start()] for mark in _STOPS["keyword"]):
        raise _error("there is no function call", "keyword")
    args = _KEYWORD_ARGS.match(text, found.end())
    if args is None:
        raise _error(f"{ARGS} is missing (write {ARGS}: {{}} for a function without arguments)", "keyword")
    arguments = _read(text[args.end() :], f"the value of {ARGS}", "keyword")
    return ParsedReply(text[: found.start()].strip(), _call(found["name"], arguments, "keyword"))


def _parse_tagged(text: str) -> ParsedReply:
    thought, opened, rest = text.partition(OPEN)
    if not opened:
        raise _error("there is no function call", "tool_call")
    rest = re.sub(r"^\s*```(?:json)?", "", rest)
    value = _read(rest, f"what stands in {OPEN}", "tool_call")
    if not isinstance(value, dict) or "name" not in value:
        raise _error('the call has no "name"', "tool_call")
    arguments = value.get("arguments")
    if arguments is None:
        raise _error('the call has no "arguments" ({} for a function without any)', "tool_call")
    if isinstance(arguments, str):  # some models quote the object once more
        arguments = _read(arguments, '"arguments"', "tool_call")
    return ParsedReply(thought.strip(), _call(value["name"], arguments, "tool_call"))


def _read(text: str, what: str, form: CallForm) -> Any:
    try:
        return read_json(text)
    except ValueError as error:
        raise _error(f"{what} is not valid JSON ({error})", form) from error


def _call(name: Any, arguments: Any, form: CallForm) -> ToolCall:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise _error(f"{str(name)[:64]!r} is no function's name", form)
    if not isinstance(arguments, dict):
        raise _error(f"the arguments are {type(arguments).__name__}; expected an object in braces", form)
    return ToolCall(name, arguments)


def _error(problem: str, form: CallForm) -> ToolCallError:
    return ToolCallError(f"{problem}; {_EXPECTED[form]}")
