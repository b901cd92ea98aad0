"""True lines about a screen, in the very words of an agent: where something is, what is written under it, what is not.

A line is begun for the model with the label, as an agent's own thought begins with what it looks for.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from qwen2vl_agent.data.synthetic.canvas import Item
from qwen2vl_agent.data.synthetic.marks import names_something, texts_inside
from qwen2vl_agent.data.synthetic.page_store import PageItem, RecordedPage
from qwen2vl_agent.data.synthetic.pages import alone, askable
from qwen2vl_agent.dialogue.tool_call import cut_at_stop, render_call
from qwen2vl_agent.schema.tools import ToolCall

PARTS = {"Add favorite": "star", "Remove favorite": "star", "Pin": "pin", "Unpin": "pin"}
"""What an agent calls the small buttons in a row."""
HERE, NOT_HERE = '" is here', '" is not here'
"""What follows a label: the bundled solutions say it too (`envs/tasks/hand.py`)."""
SWITCH = "switch"
BAR = 110
"""Where a page's bar ends, on the model's grid: what stands below may be a heading."""
INCOMING = 100
"""Left edges of the messages that were received are left of this."""
HEADED_PAGES = ("contacts/person", "notes/note", "calculator/main")
"""Pages whose first text below the bar is a heading of what follows it."""
THREAD, HOME = "messages/thread", "launcher/home"


@dataclass(frozen=True, slots=True)
class Line:
    """What is given, what is to be written, and the item that it is read from."""

    given: str
    written: str
    item: Item | None = None
    """Of what is written."""
    label: Item | None = None
    """What is given behind its quotation mark, where that stands on the screen."""


def about_place(entry: PageItem) -> Line:
    """What stands at a place."""
    return Line("({},{}) ".format(*entry.item.centre), entry.item.text, entry.item)


def looked_for(entry: PageItem) -> Line:
    """Where an element is."""
    return _tap(entry.item, "it", entry.item.centre)


def missing(label: str, page_name: str = "") -> Line:
    """That something is not here, and what then helps on such a page."""
    instead = 'tap "All apps"' if page_name == HOME else "scroll down"
    return Line(f'"{label}', f"{NOT_HERE}: {instead}.")


def parts_of_rows(page: RecordedPage) -> list[Line]:
    """Where the switches, stars and pins of rows are, and rows that go by another of their texts than their name."""
    rows = [entry for entry in askable(page) if entry.role == "row"]
    return [line for row in rows for line in _parts(row, page)]


def texts_of_names(page: RecordedPage) -> list[Line]:
    """What else is written in the rows, and below the headings."""
    names = [entry for entry in page.items if names_something(entry, page) and alone(entry, page)]
    inside = [_under(entry, item) for entry in names for item in texts_inside(entry, page)[:1]]
    return [*inside, *_below_headings(page)]


def _parts(row: PageItem, page: RecordedPage) -> Iterator[Line]:
    shown = [entry.item.text for entry in page.items]
    others = [item for item in texts_inside(row, page)[:1] if shown.count(item.text) == 1]
    yield from [_tap(item, "it", row.item.centre) for item in others]
    for entry in page.items:
        part = SWITCH if entry.role == "switch" else PARTS.get(entry.item.text)
        if part and entry.clickable and row.holds(entry):
            yield from [_tap(item, f"its {part}", entry.item.centre) for item in (row.item, *others)]


def _below_headings(page: RecordedPage) -> Iterator[Line]:
    texts = [entry for entry in page.items if entry.role == "text" and not names_something(entry, page)]
    if page.name == THREAD:
        received = [entry for entry in texts[1:] if entry.item.box[0] < INCOMING]
        yield from [_under(texts[0], entry.item) for entry in received[-1:]]
    elif page.name in HEADED_PAGES:
        headings = [number for number, entry in enumerate(page.items) if entry in texts and entry.item.box[1] > BAR]
        for number in headings[:1]:
            following = page.items[number + 1 : number + 2]
            yield from [_under(page.items[number], entry.item) for entry in following if entry.role in ("text", "row")]


def _under(name: PageItem, item: Item) -> Line:
    return Line(f'Under "{name.item.text}": ', item.text, item)


def _tap(label: Item, what: str, point: tuple[int, int]) -> Line:
    """A touch as an agent says it, begun with the label; without the last keyword.

    A label that looks like a call is made harmless, as in every reply.
    """
    call = ToolCall("tap", {"point": list(point)})
    text = cut_at_stop(render_call(f'"{label.text}{HERE}: tap {what}.', call, "keyword"), "keyword")
    begun = text.index(HERE)
    return Line(text[:begun], text[begun:], label=label)
