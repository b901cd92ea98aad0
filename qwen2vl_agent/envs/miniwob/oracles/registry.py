"""Solutions by page."""

import re
from collections.abc import Callable

from qwen2vl_agent.envs.miniwob.view import View
from qwen2vl_agent.envs.tasks.task import Decision

Oracle = Callable[[View], Decision]
ORACLES: dict[str, Oracle] = {}


def solves(*pages: str) -> Callable[[Oracle], Oracle]:
    """Make a function the solution of these pages."""

    def note(oracle: Oracle) -> Oracle:
        assert not set(pages) & set(ORACLES), pages
        ORACLES.update(dict.fromkeys(pages, oracle))
        return oracle

    return note


def quoted(text: str, number: int = 0) -> str:
    """What stands between quotation marks."""
    return re.findall(r'"(.*?)"', text)[number]


def found(pattern: str, text: str) -> str:
    """The first group of a pattern that has to match."""
    match = re.search(pattern, text)
    if match is None:
        raise LookupError(f"{text!r} does not match {pattern!r}")
    return match[1]


ORDINALS = {"1st": 0, "2nd": 1, "3rd": 2}
