"""What changed between two screens in a row: a switch, a scroll, a text that came or went, another screen, nothing.

An agent sees what its last step did only by comparing two pictures.
"""

import random
from dataclasses import dataclass

from qwen2vl_agent.data.example import Example
from qwen2vl_agent.data.synthetic.page_store import PageItem, PageStore, RecordedPage
from qwen2vl_agent.data.synthetic.pages import page_store
from qwen2vl_agent.data.synthetic.reading import SYSTEM
from qwen2vl_agent.schema.messages import ImagePart, Message, TextPart

QUESTION = "What changed?"
NOTHING, ANOTHER, UP, DOWN = "Nothing.", "Another screen.", "It moved up.", "It moved down."
SAME = 0.1
"""Share of pairs that are twice the same screen."""
MOST_TOLD = 2
"""Texts that came or went; where there are more, or none stayed, it is another screen."""
STILL = 3
"""Thousandths of the height that an element may move without having moved."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ChangeSource:
    """Pairs of recorded screens, met one after the other."""

    name: str
    folder: str
    """Where `write_pages` put them."""
    seed: int = 0
    first: int = 0
    """Only the first so many pages; 0: all."""

    def example(self, index: int) -> Example:
        rng = random.Random(f"{self.seed}/{self.name}/{index}")
        before, after = some_pair(page_store(self.folder), self.first, rng)
        return Example(
            [*asked(before, after), Message("assistant", (TextPart(change(before, after), target=True),))], self.name
        )


def asked(before: RecordedPage, after: RecordedPage) -> list[Message]:
    """The question about two screens."""
    pictures = (ImagePart(before.image), ImagePart(after.image))
    return [Message("system", (TextPart(SYSTEM),)), Message("user", (*pictures, TextPart(QUESTION)))]


def some_pair(store: PageStore, first: int, rng: random.Random) -> tuple[RecordedPage, RecordedPage]:
    """Two screens of a walk in a row, of the same page as a rule; now and then the same one twice."""
    count = min(first or len(store), len(store))
    if rng.random() < SAME:
        page = store[rng.randrange(count)]
        return page, page
    dull = rng.random() < SAME
    names = store.names()
    while True:
        number = rng.randrange(count - 1)
        if dull or names[number] == names[number + 1]:
            pair = store[number], store[number + 1]
            if dull or change(*pair) != ANOTHER:
                return pair


def change(before: RecordedPage, after: RecordedPage) -> str:
    """What changed, in one line.

    Worked example: a list of which every row stands 200 thousandths higher, with two new ones below, `It moved up.`
    """
    if before.name != after.name:
        return ANOTHER
    old, new = _by_text(before), _by_text(after)
    stayed = old.keys() & new.keys()
    moves = {_top(new[text]) - _top(old[text]) for text in stayed}
    moved = [move for move in moves if abs(move) > STILL]
    if moved and len({move > 0 for move in moved}) == 1:
        return DOWN if moved[0] > 0 else UP
    turned = [text for text in sorted(stayed) if old[text].checked != new[text].checked and not moved]
    was, shown = ({entry.item.text for entry in page.items} for page in (before, after))
    came, went = sorted(shown - was), sorted(was - shown)
    if not stayed or moved or len(came) + len(went) > MOST_TOLD:
        return ANOTHER
    told = [f'"{text}" is {"on" if new[text].checked else "off"}.' for text in turned]
    told += [f'"{text}" is new.' for text in came] + [f'"{text}" is gone.' for text in went]
    return " ".join(told) or NOTHING


def _by_text(page: RecordedPage) -> dict[str, PageItem]:
    """The elements that their text names alone."""
    texts = [entry.item.text for entry in page.items]
    return {entry.item.text: entry for entry in page.items if texts.count(entry.item.text) == 1}


def _top(entry: PageItem) -> int:
    return entry.item.box[1]
