"""Questions about recorded screens: what stands where, what is where, and which switch is on."""

import random
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from qwen2vl_agent.data.example import Example
from qwen2vl_agent.data.synthetic.marks import where_written
from qwen2vl_agent.data.synthetic.page_store import PageItem, PageStore, RecordedPage
from qwen2vl_agent.data.synthetic.reading import conversation, find, looks_in_turn, name, point_text, read
from qwen2vl_agent.schema.errors import ConfigError

READ_SCREEN = "Read the screen with places."
MOST_TRIES = 1000
"""Pages looked at for one with something to ask for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PageSource:
    """Recorded screens: a transcription with or without places, then pointing, naming and state questions."""

    name: str
    folder: str
    """Where `write_pages` put them."""
    seed: int = 0
    questions: int = 8
    transcribe: float = 0.5
    """Share of screens that are transcribed."""
    places: float = 0.5
    """Share of the transcriptions that tell the places too."""
    first: int = 0
    """Only so many pages are asked about, the first ones; 0: all."""
    only: tuple[str, ...] = ()
    """Beginnings of the pages' names to take, for example `launcher`; empty: all."""

    def example(self, index: int) -> Example:
        rng = random.Random(f"{self.seed}/{self.name}/{index}")
        page = some_page(self.folder, self.first, self.only, rng)
        turns = self._turns(page, rng)
        plain = bool(turns) and turns[0] == read(tuple(entry.item for entry in page.items))
        looks = {0: looks_in_turn(where_written(page, entry.item) for entry in page.items)} if plain else None
        return conversation(page.image, turns, self.name, looks)

    def _turns(self, page: RecordedPage, rng: random.Random) -> list[tuple[str, str]]:
        turns = []
        if rng.random() < self.transcribe:
            items = tuple(entry.item for entry in page.items)
            turns.append((READ_SCREEN, _places(page)) if rng.random() < self.places else read(items))
        chosen = askable(page)
        turns += [self._question(rng.choice(chosen), rng) for _ in range(self.questions)]
        return turns

    def _question(self, entry: PageItem, rng: random.Random) -> tuple[str, str]:
        kind = rng.random()
        if entry.checked is not None and kind < 0.3:
            return f'Is "{entry.item.text}" on?', "Yes." if entry.checked else "No."
        return find(entry.item) if kind < 0.7 else name(entry.item, rng)


def some_page(folder: str, first: int, only: tuple[str, ...], rng: random.Random) -> RecordedPage:
    """A recorded page on which there is something to ask for.

    Raises:
        ConfigError: there is none.
    """
    store, wanted = page_store(folder), page_numbers(folder, first, only)
    if not wanted:
        raise ConfigError(f"{folder} has no page whose name begins with {' or '.join(only)}")
    for _ in range(MOST_TRIES):
        page = store[rng.choice(wanted)]
        if len(askable(page)) >= 2:
            return page
    raise ConfigError(f"{folder}: {MOST_TRIES} pages in a row show nothing to ask for")


def _places(page: RecordedPage) -> str:
    return "\n".join(f"{_told(entry)} {point_text(entry.item)}" for entry in page.items)


def _told(entry: PageItem) -> str:
    if entry.checked is None:
        return entry.item.text
    return f"{entry.item.text} {'on' if entry.checked else 'off'}"


def askable(page: RecordedPage) -> list[PageItem]:
    """Elements that their text names alone and that take a touch."""
    return [entry for entry in page.items if entry.clickable and alone(entry, page)]


def alone(entry: PageItem, page: RecordedPage) -> bool:
    """Whether no other element bears the same text, but one within."""
    same = (other for other in page.items if other is not entry and other.item.text == entry.item.text)
    return all(entry.holds(other) and not other.holds(entry) for other in same)


@lru_cache(maxsize=8)
def page_store(folder: str) -> PageStore:
    """The recorded pages of a folder, opened once."""
    return PageStore(Path(folder))


@lru_cache(maxsize=8)
def page_numbers(folder: str, first: int, only: tuple[str, ...]) -> range | tuple[int, ...]:
    """Numbers of the first pages whose names begin so."""
    store = page_store(folder)
    count = min(first or len(store), len(store))
    if not only:
        return range(count)
    return tuple(number for number, page in enumerate(store.names()[:count]) if page.startswith(only))
