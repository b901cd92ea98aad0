"""What others have published on a suite's tasks, with source and protocol, to stand beside a score."""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from rich.markup import escape
from rich.table import Table

HEADINGS = ("system", "score", "sees", "protocol", "source")
UNCHECKED = "not compared with the source"


@dataclass(frozen=True, slots=True)
class Published:
    """One published score."""

    suite: str
    system: str
    score: float
    """Per cent."""
    sees: str
    """What the system is given, and what it acts on."""
    protocol: str
    source: str
    checked: bool
    """Whether the number was compared with the source when it was entered."""

    @property
    def row(self) -> tuple[str, ...]:
        """Its cells in a table."""
        source = self.source if self.checked else f"{self.source} ({UNCHECKED})"
        return self.system, f"{self.score:.1f}", self.sees, self.protocol, source


@cache
def published() -> tuple[Published, ...]:
    """All of them."""
    text = (files(__package__) / "assets" / "published.json").read_text("utf-8")
    return tuple(Published(**item) for item in json.loads(text)["results"])


def published_on(suite: str) -> list[Published]:
    """Those on a suite; none on most."""
    return [item for item in published() if item.suite == suite]


def published_table(suite: str) -> Table | None:
    """For a terminal; None where there is nothing to show."""
    found = published_on(suite)
    if not found:
        return None
    table = Table(*HEADINGS, title="published on the same tasks", title_justify="left")
    for item in found:
        table.add_row(*map(escape, item.row))
    return table


def published_page(suite: str) -> list[str]:
    """Lines of Markdown; none where there is nothing to show."""
    found = published_on(suite)
    if not found:
        return []
    rows = [HEADINGS, ("---",) * len(HEADINGS), *(item.row for item in found)]
    return ["", "## Published on the same tasks", "", *("| " + " | ".join(row) + " |" for row in rows)]
