"""Calls written as Python writes them, `tap(point=[1, 2])`: parsed, and never run."""

import ast
from typing import Any

from qwen2vl_agent.schema.errors import ToolCallError

LONGEST = 20_000
_OPENING, _CLOSING = "([{", ")]}"


def read_function(text: str) -> tuple[str, dict[str, Any]]:
    """The name and the named arguments of the call that `text` begins with. Values are literals.

    Raises:
        ToolCallError: there is no such call.
    """
    source = text.strip()[:LONGEST]
    try:
        tree = ast.parse(source[: _end(source)], mode="eval").body
        if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name) or tree.args:
            raise ToolCallError(f"{source[:60]!r} is no call with named arguments")
        return tree.func.id, {item.arg: ast.literal_eval(item.value) for item in tree.keywords if item.arg}
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise ToolCallError(f"{source[:60]!r} is no call ({error})") from error


def write_function(name: str, **arguments: Any) -> str:
    """`name(key='value')`."""
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})"


def _end(source: str) -> int:
    """Where the first bracket closes, strings left out of account; the end of the text if it does not."""
    depth, quote, escaped = 0, "", False
    for place, letter in enumerate(source):
        if quote:
            quote = "" if letter == quote and not escaped else quote
            escaped = letter == "\\" and not escaped
        elif letter in "'\"":
            quote = letter
        elif letter in _OPENING:
            depth += 1
        elif letter in _CLOSING:
            depth -= 1
            if depth == 0:
                return place + 1
    return len(source)
