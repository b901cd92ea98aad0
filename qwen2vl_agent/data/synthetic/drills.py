"""Many short lines about one screen, each in the very words of an agent: whether something is there, where, and what.

A picture costs 136 tokens and a line about twenty, so one screen teaches as much as twenty steps of an episode.
"""

import random
from dataclasses import dataclass
from functools import lru_cache

from qwen2vl_agent.data.example import Example
from qwen2vl_agent.data.synthetic.canvas import Item, text_canvas
from qwen2vl_agent.data.synthetic.marks import where_written
from qwen2vl_agent.data.synthetic.page_store import PageItem, RecordedPage
from qwen2vl_agent.data.synthetic.pages import askable, page_numbers, page_store, some_page
from qwen2vl_agent.data.synthetic.reading import SYSTEM
from qwen2vl_agent.data.synthetic.screen_lines import (
    Line,
    about_place,
    looked_for,
    missing,
    parts_of_rows,
    texts_of_names,
)
from qwen2vl_agent.data.synthetic.strings import label
from qwen2vl_agent.schema.messages import ImagePart, Message, TextPart

MOST = (8, 3, 5)
"""Elements of a screen in one drill, parts of rows, and texts that are read, at most."""
MOST_RANDOM = 12
"""Random lines in one drill."""
NAMED = 0.12
"""Share of the elements that are asked for by their place."""
LINE_READ = 0.25
"""Share of random lines that are read at their place; the others are looked for."""
ABSENT = 0.5
"""Lines about what is not there, for each line about what is, on screens that scroll."""
LINES_NAME = "lines"
"""What pages of random lines are called."""
DENSITIES = (3, 6, 12, 24, 40)
"""Most lines on a picture of random ones."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DrillSource:
    """Drills on recorded screens."""

    name: str
    folder: str
    """Where `write_pages` put them."""
    seed: int = 0
    first: int = 0
    """Only the first so many pages; 0: all."""
    only: tuple[str, ...] = ()
    """Beginnings of the pages' names to take, for example `launcher`; empty: all."""
    most: tuple[int, int, int] = MOST

    def example(self, index: int) -> Example:
        rng = random.Random(f"{self.seed}/{self.name}/{index}")
        page = some_page(self.folder, self.first, self.only, rng)
        elements, parts, texts = self.most
        lines = [_about(entry, rng) for entry in _sample(askable(page), elements, rng)]
        lines += _sample(parts_of_rows(page), parts, rng) + _sample(texts_of_names(page), texts, rng)
        lines += [missing(text, page.name) for text in self._absent(page, len(lines), rng)]
        rng.shuffle(lines)
        return drill(page, lines, self.name)

    def _absent(self, page: RecordedPage, present: int, rng: random.Random) -> list[str]:
        """Labels of rows or apps of another screen of the same kind: the likeliest to be looked for in vain."""
        listed = "icon" if page.name.startswith("launcher") else "text" if page.name == LINES_NAME else "row"
        if not any(entry.role == listed for entry in page.items):
            return []
        other = page_store(self.folder)[rng.choice(_named(self.folder, self.first, page.name))]
        shown = {entry.item.text for entry in page.items}
        labels = sorted({entry.item.text for entry in askable(other) if entry.role == listed} - shown)
        return _sample(labels, round(present * ABSENT), rng)


@dataclass(frozen=True, kw_only=True, slots=True)
class LineSource:
    """Drills on pictures of random lines of text: a phone's own words are soon known by heart, these never are."""

    name: str
    columns: int
    rows: int
    """Tokens of a picture."""
    seed: int = 0

    def example(self, index: int) -> Example:
        rng = random.Random(f"{self.seed}/{self.name}/{index}")
        page = lines_page(rng, self.columns, self.rows)
        chosen = _sample(askable(page), MOST_RANDOM, rng)
        lines = [about_place(entry) if rng.random() < LINE_READ else looked_for(entry) for entry in chosen]
        lines += [missing(text) for text in (label(rng) for _ in range(round(len(lines) * ABSENT)))]
        rng.shuffle(lines)
        return drill(page, lines, self.name)


def lines_page(rng: random.Random, columns: int, rows: int) -> RecordedPage:
    """A picture of random lines of text, each to be touched like a list's row."""
    canvas = text_canvas(rng, columns=columns, rows=rows, max_items=rng.choice(DENSITIES))
    items = tuple(PageItem(item, "text", clickable=True, checked=None) for item in canvas.items)
    return RecordedPage(canvas.image, items, LINES_NAME, canvas.marks)


def drill(page: RecordedPage, lines: list[Line], source: str) -> Example:
    """The screen, then the lines one after the other; what is given of a line is context only."""
    parts: list[TextPart] = []
    for line in lines:
        looks = (*where_written(page, line.item), -1) if line.item else None
        label = _spelled(page, line.label) if line.label else None
        parts += [TextPart(line.given, looks=label), TextPart(f"{line.written}\n", target=True, looks=looks)]
    system, user = Message("system", (TextPart(SYSTEM),)), Message("user", (ImagePart(page.image),))
    return Example([system, user, Message("assistant", tuple(parts))], source)


def _spelled(page: RecordedPage, label: Item) -> tuple[int, ...]:
    """Where a given label is, letter by letter; its quotation mark and first letter tell nothing yet."""
    return (-1, -1, *where_written(page, label)[1:])


def _about(entry: PageItem, rng: random.Random) -> Line:
    return about_place(entry) if rng.random() < NAMED else looked_for(entry)


def _sample(things: list, most: int, rng: random.Random) -> list:
    return rng.sample(things, min(len(things), most))


@lru_cache(maxsize=128)
def _named(folder: str, first: int, name: str) -> tuple[int, ...]:
    names = page_store(folder).names()
    return tuple(number for number in page_numbers(folder, first, ()) if names[number] == name)
