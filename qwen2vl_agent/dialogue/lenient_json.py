"""JSON as models write it: what Python, JSON5 and the Qwen2-VL paper add is understood, anything else is refused."""

import json
import math
import re
from typing import Any

_OUTSIDE_STRINGS = re.compile(r'("(?:[^"\\]|\\.)*")|\b(True|False|None)\b|,(?=\s*[\]})])|[()]', re.DOTALL)
_PYTHON_WORDS = {"True": "true", "False": "false", "None": "null"}
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def read_json(text: str) -> Any:
    """The JSON value that `text` begins with; what follows it is left alone.

    Beyond JSON: `(348, 291)` is a list, as the paper writes points; `True`, `False`, `None`; a comma before a closing
    bracket; line breaks inside strings.

    Raises:
        ValueError: there is no such value; the text says why.
    """
    source = _OUTSIDE_STRINGS.sub(_as_json, text.lstrip())
    try:
        value, _ = _DECODER.raw_decode(source)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return value


def write_json(value: Any) -> str:
    """One line of JSON in readable characters, except those that would mean something to the dialogue.

    The flower of `✿RESULT✿` and the brackets of tags are escaped inside strings, so an argument never ends a call.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    text = text.replace("✿", "\\u273f").replace("<tool_", "\\u003ctool_").replace("</tool_", "\\u003c/tool_")
    return _LONE_SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _as_json(found: re.Match[str]) -> str:
    piece = found[0]
    if found[1]:
        return piece
    if found[2]:
        return _PYTHON_WORDS[piece]
    return {"(": "[", ")": "]", ",": ""}[piece]


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    for text in (text for pair in pairs for text in pair if isinstance(text, str)):
        if _LONE_SURROGATE.search(text):
            raise ValueError("a string holds half of a character (a lone \\ud800 to \\udfff)")
    return dict(pairs)


def _integer(text: str) -> int:
    if len(text) > 300:
        raise ValueError("a number is too long")
    return int(text)


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text} is too large")
    return value


def _constant(text: str) -> Any:
    raise ValueError(f"{text} is no number")


_DECODER = json.JSONDecoder(
    strict=False, object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant
)
