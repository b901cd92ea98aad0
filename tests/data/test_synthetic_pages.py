"""Recorded screens: kept and found again, and the questions about them answered as the phone would."""

import json
import pickle
import re
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from qwen2vl_agent.data.synthetic.canvas import Item
from qwen2vl_agent.data.synthetic.page_store import SHARD, PageItem, PageStore, RecordedPage, write_pages
from qwen2vl_agent.data.synthetic.pages import READ_SCREEN, PageSource
from qwen2vl_agent.data.synthetic.screen_lines import looked_for
from qwen2vl_agent.dialogue.tool_call import parse_call
from qwen2vl_agent.envs.tasks.explore import Page, random_pages
from qwen2vl_agent.envs.virtual_phone.words import Words
from qwen2vl_agent.recipes.harvest import record_page
from qwen2vl_agent.schema.actions import PHONE_ACTIONS, Tap
from qwen2vl_agent.schema.errors import RecordError
from qwen2vl_agent.schema.geometry import Frame
from qwen2vl_agent.schema.messages import TextPart
from qwen2vl_agent.schema.tools import to_action

SIZE = (270, 600)
MAX_PIXELS = 56 * 28 * 28
POINT = re.compile(r"<\|box_start\|>\((\d+),(\d+)\)<\|box_end\|>")


@pytest.fixture(scope="module")
def screens() -> list[Page]:
    """Screens with switches among them."""
    return list(islice(random_pages(3, SIZE, Words.train()), 12))[2::3]


@pytest.fixture(scope="module")
def pages(screens) -> list[RecordedPage]:
    recorded = [record_page(screen, MAX_PIXELS) for screen in screens]
    assert len(recorded) == 4
    return recorded


@pytest.fixture(scope="module")
def folder(pages, tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("pages")
    write_pages(root, 0, cycle(pages))
    return root


def small_page(name: str = "page", *items: PageItem, colour: int = 0) -> RecordedPage:
    return RecordedPage(Image.new("RGB", (28, 28), (colour,) * 3), items, name)


def turns(source: PageSource, index: int) -> list[tuple[str, str]]:
    said = [
        "".join(part.text for part in turn.parts if isinstance(part, TextPart))
        for turn in source.example(index).messages[1:]
    ]
    return list(zip(said[::2], said[1::2], strict=True))


def page_of(source: PageSource, index: int, pages: list[RecordedPage]) -> RecordedPage:
    """The page that an example shows, known by its pixels."""
    shown = source.example(index).messages[1].parts[0].image.tobytes()
    return next(page for page in pages if page.image.tobytes() == shown)


def test_pages_come_back_as_they_were_recorded(folder, pages):
    store = PageStore(folder)
    assert len(store) == SHARD
    for read, written in zip(store, cycle(pages), strict=False):
        assert read.items == written.items
        assert read.name == written.name
        assert read.image.tobytes() == written.image.tobytes()


def test_shards_with_gaps_between_their_numbers_are_one_row_of_pages(tmp_path):
    for number in (7, 2):
        write_pages(tmp_path, number, cycle([small_page(f"shard {number}")]))
    store = PageStore(tmp_path)
    assert len(store) == 2 * SHARD
    assert [store[index].name for index in (0, SHARD - 1, SHARD)] == ["shard 2", "shard 2", "shard 7"]
    assert store.names() == ["shard 2"] * SHARD + ["shard 7"] * SHARD


def test_a_shard_that_is_there_is_not_written_again(folder):
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.iterdir()}
    write_pages(folder, 0, iter(()))
    assert {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.iterdir()} == before


def test_a_half_written_shard_is_written_anew(tmp_path):
    """Killed between the frames and their elements: the frames alone are not a shard."""
    write_pages(tmp_path, 0, cycle([small_page("before")]))
    (tmp_path / "pages-00000.jsonl").unlink()
    (tmp_path / "pages-00001.4711.npy").write_bytes(b"torn")
    with pytest.raises(RecordError):
        PageStore(tmp_path)
    write_pages(tmp_path, 0, cycle([small_page("after")]))
    assert len(PageStore(tmp_path)) == SHARD
    assert PageStore(tmp_path)[0].name == "after"


def test_a_shard_of_too_few_pages_is_never_written(tmp_path):
    with pytest.raises(ValueError, match=f"2 pages.*{SHARD}"):
        write_pages(tmp_path, 0, iter([small_page()] * 2))
    assert not list(tmp_path.glob("pages-*"))


def test_texts_with_any_mark_of_a_line_s_end_stay_in_their_line(tmp_path):
    text = "a\u2028b\x85c\nd\x1ee"
    page = small_page(text, PageItem(Item(text, (1, 2, 3, 4)), "row", True, None))
    write_pages(tmp_path, 0, cycle([page]))
    assert PageStore(tmp_path)[SHARD - 1].items == page.items
    assert PageStore(tmp_path)[1].name == text


def test_a_folder_without_pages_is_refused(tmp_path):
    with pytest.raises(RecordError, match=re.escape(str(tmp_path))):
        PageStore(tmp_path)
    with pytest.raises(RecordError, match="no recorded pages"):
        PageSource(name="screens", folder=str(tmp_path / "absent")).example(0)


def test_an_example_is_a_pure_function_of_its_index(folder):
    source = PageSource(name="screens", folder=str(folder))
    copy = pickle.loads(pickle.dumps(source))
    backwards = [turns(source, index) for index in reversed(range(20))][::-1]
    assert [turns(copy, index) for index in range(20)] == backwards
    assert backwards != [turns(PageSource(name="screens", folder=str(folder), seed=1), i) for i in range(20)]


def test_only_the_answers_are_learnt(folder):
    source = PageSource(name="screens", folder=str(folder))
    for index in range(20):
        for turn in source.example(index).messages:
            for part in turn.parts:
                assert getattr(part, "target", False) == (turn.role == "assistant")


def test_every_pointing_answer_lies_in_the_element(folder, pages):
    source = PageSource(name="screens", folder=str(folder), transcribe=0.0)
    checked = 0
    for index in range(30):
        page = page_of(source, index, pages)
        for question, answer in turns(source, index):
            if wanted := re.fullmatch(r'Where is "(.*)"\?', question):
                x, y = (int(number) for number in POINT.fullmatch(answer).groups())
                assert any(holds(entry, x, y) for entry in page.items if entry.item.text == wanted[1])
                checked += 1
    assert checked > 50


def test_every_naming_answer_is_an_element_at_that_place(folder, pages):
    source = PageSource(name="screens", folder=str(folder), transcribe=0.0)
    checked = 0
    for index in range(30):
        page = page_of(source, index, pages)
        for question, answer in turns(source, index):
            if place := re.fullmatch(r"What is at \((\d+),(\d+)\)\?", question):
                there = [entry.item.text for entry in page.items if holds(entry, int(place[1]), int(place[2]))]
                assert answer in there
                checked += 1
    assert checked > 30


def test_whether_a_switch_is_on_is_told_as_it_was(tmp_path):
    states = {"Wifi": True, "Sound": False, "About": None}
    items = tuple(
        PageItem(Item(text, (10, 100 * place, 900, 100 * place + 50)), "switch", True, on)
        for place, (text, on) in enumerate(states.items())
    )
    write_pages(tmp_path, 0, cycle([small_page("settings", *items)]))
    source = PageSource(name="screens", folder=str(tmp_path), transcribe=1.0, places=1.0)
    told = set()
    for index in range(30):
        (asked, places), *rest = turns(source, index)
        assert asked == READ_SCREEN
        assert [POINT.sub("", line).strip() for line in places.splitlines()] == ["Wifi on", "Sound off", "About"]
        told |= {pair for pair in rest if pair[0].startswith("Is ")}
    assert told == {('Is "Wifi" on?', "Yes."), ('Is "Sound" on?', "No.")}


def tap_reply(entry: PageItem) -> str:
    """What an agent would write to touch the element."""
    line = looked_for(entry)
    return line.given + line.written


def test_a_text_that_looks_like_a_call_does_not_take_the_tap_s_place():
    entry = PageItem(Item("✿FUNCTION✿: done", (500, 500, 600, 600)), "row", True, None)
    call = parse_call(tap_reply(entry), "keyword").call
    assert (call.name, call.arguments) == ("tap", {"point": [550, 550]})


def test_every_element_of_a_screen_can_be_tapped_by_its_recorded_place(pages, screens):
    for page, screen in zip(pages, screens, strict=True):
        shown = [element for element in screen.elements if not element.resource_id.startswith("system:")]
        bounds = {element.text: element.bounds for element in shown}
        for entry in page.items:
            if [other.item.text for other in page.items].count(entry.item.text) == 1:
                tap = to_action(parse_call(tap_reply(entry), "keyword").call, PHONE_ACTIONS)
                assert touches(tap, bounds[entry.item.text]), entry


def test_only_pages_that_are_asked_for_are_shown(tmp_path):
    entries = [PageItem(Item(text, (1, place, 9, place + 1)), "row", True, None) for place, text in enumerate("ab")]
    shown = {"shade": 1, "launcher/home": 2, "notes/launcher": 3}
    write_pages(tmp_path, 0, cycle([small_page(name, *entries, colour=colour) for name, colour in shown.items()]))
    for only, colours in {(): {1, 2, 3}, ("launcher",): {2}, ("launcher", "shade"): {1, 2}}.items():
        source = PageSource(name="icons", folder=str(tmp_path), only=only)
        pictures = [source.example(index).messages[1].parts[0].image for index in range(30)]
        assert {picture.getpixel((0, 0))[0] for picture in pictures} == colours


def test_only_elements_that_tell_one_thing_are_asked_about(tmp_path):
    items = [("twice", True), ("twice", True), ("silent", False), ("once", True), ("one", True)]
    entries = tuple(
        PageItem(Item(text, (10, 100 * place, 900, 100 * place + 50)), "row", clickable, None)
        for place, (text, clickable) in enumerate(items)
    )
    write_pages(tmp_path, 0, cycle([small_page("page", *entries)]))
    source = PageSource(name="screens", folder=str(tmp_path), transcribe=0.0)
    asked = [turn for index in range(5) for turn in turns(source, index)]
    told = {question.split('"')[1] if question.startswith("Where") else answer for question, answer in asked}
    assert told == {"once", "one"}


def test_a_page_with_nothing_to_ask_about_is_passed_over(tmp_path):
    entries = [PageItem(Item(text, (1, place, 9, place + 1)), "row", True, None) for place, text in enumerate("ab")]
    bare, full = small_page("bare", entries[0]), small_page("full", *entries, colour=9)
    write_pages(tmp_path, 0, cycle([bare, bare, bare, full]))
    source = PageSource(name="screens", folder=str(tmp_path), transcribe=0.0)
    shown = {source.example(index).messages[1].parts[0].image.getpixel((0, 0)) for index in range(20)}
    assert shown == {(9, 9, 9)}


def test_frames_are_read_by_memory_map_in_their_own_size(folder, pages):
    frames = np.load(folder / "pages-00000.npy", mmap_mode="r")
    assert frames.shape == (SHARD, *pages[0].image.size[::-1], 3)
    assert all(side % 28 == 0 for side in pages[0].image.size)
    assert np.array_equal(frames[1], np.asarray(pages[1].image))
    lines = (folder / "pages-00000.jsonl").read_text("utf-8").splitlines()
    assert json.loads(lines[1])["name"] == pages[1].name


def holds(entry: PageItem, x: int, y: int) -> bool:
    left, top, right, bottom = entry.item.box
    return left <= x < right and top <= y < bottom


def touches(tap: Tap, bounds: tuple[int, int, int, int]) -> bool:
    """Whether a tap lands in an element of the device that drew the screen."""
    spot = tap.point.to(Frame("device", *SIZE))
    return bounds[0] <= spot.x < bounds[2] and bounds[1] <= spot.y < bounds[3]


def test_only_the_first_pages_are_asked_about(folder):
    few = PageSource(name="few", folder=str(folder), first=1, questions=1, transcribe=0.0)
    pictures = {few.example(index).messages[1].parts[0].image.tobytes() for index in range(12)}
    assert len(pictures) == 1


def test_a_recorded_page_keeps_its_marks(folder, pages):
    assert pages[0].marks
    assert PageStore(folder)[0].marks == pages[0].marks
