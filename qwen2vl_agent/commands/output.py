"""Where a command writes: people read the console, programs the JSON object that ends standard output."""

import json
from typing import Any

from rich.console import Console


def console(as_json: bool) -> Console:
    """The console for people; it moves to standard error when standard output belongs to a program."""
    return Console(stderr=as_json, highlight=False)


def print_object(values: dict[str, Any]) -> None:
    """The result as one line of JSON."""
    print(json.dumps(values, ensure_ascii=False))
