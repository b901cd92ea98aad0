"""What changed between two screens, told from their elements."""

import random

import pytest

from qwen2vl_agent.data.synthetic.changes import ANOTHER, DOWN, NOTHING, UP, ChangeSource, change, some_pair
from qwen2vl_agent.data.synthetic.page_store import PageItem, PageStore, RecordedPage, write_pages
from qwen2vl_agent.envs.tasks.explore import page_of, random_pages
from qwen2vl_agent.envs.virtual_phone.phone import VirtualPhone
from qwen2vl_agent.envs.virtual_phone.state import random_state
from qwen2vl_agent.envs.virtual_phone.words import Words
from qwen2vl_agent.recipes.harvest import record_page

MAX_PIXELS = 28 * 28 * 40
SIZE = (270, 600)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("pages")
    screens = random_pages(4, SIZE, Words.train())
    write_pages(out, 0, (record_page(screen, MAX_PIXELS) for screen in screens))
    return out


class Settings:
    """A phone's settings, and what is seen of them."""

    def __init__(self) -> None:
        self.phone = VirtualPhone(random_state(3, Words.train()), SIZE)
        self.phone.launch("settings", "display")

    def seen(self) -> RecordedPage:
        return record_page(page_of(self.phone), MAX_PIXELS)

    def switch(self) -> PageItem:
        return next(entry for entry in self.seen().items if entry.checked is not None)


def test_a_switch_that_is_touched_is_told():
    settings = Settings()
    before, entry = settings.seen(), settings.switch()
    element = next(e for e in settings.phone.elements() if e.text == entry.item.text and e.checked is not None)
    settings.phone.tap(*element.centre)
    told = change(before, settings.seen())
    assert f'"{entry.item.text}" is {"off" if entry.checked else "on"}.' in told


def test_a_scroll_has_a_direction():
    settings = Settings()
    settings.phone.launch("settings")
    top = settings.seen()
    settings.phone.swipe(135, 450, 135, 250, 1.0)
    below = settings.seen()
    assert change(top, below) == UP
    assert change(below, top) == DOWN


def test_the_same_screen_is_nothing_new_and_another_app_is_another_screen():
    settings = Settings()
    before = settings.seen()
    assert change(before, before) == NOTHING
    settings.phone.launch("clock")
    assert change(before, settings.seen()) == ANOTHER


def test_pairs_are_of_all_kinds_and_what_is_told_is_true(folder):
    store, rng = PageStore(folder), random.Random(0)
    kinds = set()
    for _ in range(60):
        before, after = some_pair(store, 0, rng)
        told = change(before, after)
        shown = {entry.item.text for entry in after.items}
        for text in told.split('"')[1::2]:
            assert (text in shown) != (f'"{text}" is gone.' in told)
        kinds.add(told if '"' not in told else told.split()[-1])
    assert {NOTHING, ANOTHER, UP} <= kinds
    assert kinds & {"on.", "off.", "new."}


def test_an_example_shows_both_screens_and_is_a_pure_function_of_its_index(folder):
    source = ChangeSource(name="changes", folder=str(folder))
    one, other = (source.example(5).messages for _ in range(2))
    assert one[-1] == other[-1]
    assert [type(part).__name__ for part in one[1].parts] == ["ImagePart", "ImagePart", "TextPart"]
