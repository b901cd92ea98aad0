"""Screens as they are recorded for training: at the model's size, without bars and keys, and without held-out words."""

from itertools import islice

import pytest

from qwen2vl_agent.data.synthetic.page_store import SHARD, PageStore
from qwen2vl_agent.envs.tasks.explore import Page, random_pages
from qwen2vl_agent.envs.tasks.readings import read_pages
from qwen2vl_agent.envs.virtual_phone.apps.decoys import BOOKS, GAMES, SITES
from qwen2vl_agent.envs.virtual_phone.settings_catalogue import CHOICES
from qwen2vl_agent.envs.virtual_phone.words import Words, is_held_out
from qwen2vl_agent.recipes.harvest import DRAWN_SIZE, harvest_pages, record_page
from qwen2vl_agent.schema.geometry import MODEL_GRID

MAX_PIXELS = 112_896
OF_THE_APPS = {*SITES, *GAMES, *BOOKS, *(option for choice in CHOICES for option in choice.options)}
"""Fixed labels of every phone; the pools happen to hold some of them back, such as the assistant that is called Ava."""


@pytest.fixture(scope="module")
def screens() -> list[Page]:
    return list(islice(random_pages(11, DRAWN_SIZE, Words.train()), 60))


def test_a_page_has_the_size_that_the_model_sees(screens):
    page = record_page(screens[0], MAX_PIXELS)
    assert page.image.size == (224, 476)
    assert page.image.mode == "RGB"
    assert page.name == screens[0].page


def test_boxes_lie_on_the_grid(screens):
    for screen in screens:
        for entry in record_page(screen, MAX_PIXELS).items:
            left, top, right, bottom = entry.item.box
            assert 0 <= left < right < MODEL_GRID, entry
            assert 0 <= top < bottom < MODEL_GRID, entry


def test_bars_keys_and_what_has_no_text_are_left_out(screens):
    for screen in screens:
        kept = [entry.item.text for entry in record_page(screen, MAX_PIXELS).items]
        told = [
            element.text
            for element in screen.elements
            if element.text and element.role != "key" and not element.resource_id.startswith("system:")
        ]
        assert kept == told
    assert any(element.role == "key" for screen in screens for element in screen.elements)


def test_no_recorded_screen_holds_a_held_out_word():
    met = set()
    for screen in islice(random_pages(5, (270, 600), Words.train()), 300):
        met |= {entry.item.text for entry in record_page(screen, MAX_PIXELS).items if is_held_out(entry.item.text)}
    assert met <= OF_THE_APPS


def test_screens_of_test_phones_would_be_noticed():
    met = set()
    for screen in islice(random_pages(4, (270, 600), Words.test()), 60):
        met |= {entry.item.text for entry in record_page(screen, MAX_PIXELS).items if is_held_out(entry.item.text)}
    assert len(met - OF_THE_APPS) > 3


@pytest.mark.slow
def test_a_harvest_fills_whole_shards_and_is_not_done_twice(tmp_path):
    harvest_pages(tmp_path, pages=3, max_pixels=28 * 28 * 30, seed=0, workers=2)
    assert len(PageStore(tmp_path)) == SHARD
    assert len({page.name for page in PageStore(tmp_path)}) > 10
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    harvest_pages(tmp_path, pages=SHARD, max_pixels=28 * 28 * 30, seed=0, workers=1)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_the_full_edition_has_screens_of_its_apps() -> None:
    words = Words.train()
    first, full = (
        {screen.page.split("/")[0] for screen in islice(random_pages(6, (270, 600), words, edition), 250)}
        for edition in ("first", "full")
    )
    assert {"shop", "todo", "expenses"} <= full - first
    names = {screen.page.split("/")[0] for screen in islice(read_pages(2, (270, 600), edition="full"), 40)}
    assert names & {"shop", "expenses", "browser", "mail"}


@pytest.mark.slow
def test_editions_come_in_turn(tmp_path):
    harvest_pages(tmp_path, pages=5 * SHARD, max_pixels=28 * 28 * 6, seed=0, workers=2, editions=("first", "full"))
    apps = [
        {page.name.split("/")[0] for page in islice(PageStore(tmp_path), n * SHARD, (n + 1) * SHARD)} for n in (0, 4)
    ]
    assert "shop" in apps[1] - apps[0]
