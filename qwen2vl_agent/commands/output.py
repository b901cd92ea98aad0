"""Where a command writes: people read the console, programs the JSON object that ends standard output."""

import json
import os
from typing import Any

from rich.console import Console

PIPED_WIDTH = 120
"""Columns of a file or a pipe, in which tables keep their figures; `$COLUMNS` says otherwise."""


def console(as_json: bool) -> Console:
    """The console for people; it moves to standard error when standard output belongs to a program."""
    made = Console(stderr=as_json, highlight=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = PIPED_WIDTH
    return made


def print_object(values: dict[str, Any]) -> None:
    """The result as one line of JSON."""
    print(json.dumps(values, ensure_ascii=False))
