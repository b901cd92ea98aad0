"""Drills about recorded screens: every line is true of the screen, and letters are looked for where they stand."""

import random
from itertools import cycle, islice
from pathlib import Path

import pytest

from qwen2vl_agent.data.synthetic.drills import DrillSource, LineSource, about_text, drill, lines_page, looked_for
from qwen2vl_agent.data.synthetic.marks import where_written
from qwen2vl_agent.data.synthetic.page_store import PageItem, RecordedPage, write_pages
from qwen2vl_agent.data.synthetic.pages import askable
from qwen2vl_agent.dialogue.tool_call import parse_call
from qwen2vl_agent.envs.tasks.explore import random_pages
from qwen2vl_agent.envs.virtual_phone.words import Words
from qwen2vl_agent.recipes import tiny_data
from qwen2vl_agent.recipes.harvest import record_page
from qwen2vl_agent.recipes.tiny import TinyRecipe
from qwen2vl_agent.schema.geometry import RESIZE_FACTOR

MAX_PIXELS = 136 * RESIZE_FACTOR**2


@pytest.fixture(scope="module")
def pages() -> list[RecordedPage]:
    """Lists, in pairs of one kind with other rows."""
    seen = (record_page(page, MAX_PIXELS) for page in random_pages(5, (270, 600), Words.train()))
    lists = [page for page in islice(seen, 60) if sum(entry.role == "row" for entry in page.items) > 3]
    assert len(lists) > 5
    return lists


@pytest.fixture(scope="module")
def folder(pages, tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("pages")
    write_pages(root, 0, cycle(pages))
    return root


def lines_of(example) -> list[tuple[str, str]]:
    """What is given and what is written, line by line."""
    parts = example.messages[-1].parts
    assert [part.target for part in parts] == [False, True] * (len(parts) // 2)
    return [(given.text, written.text) for given, written in zip(parts[::2], parts[1::2], strict=True)]


def page_of(example, pages) -> RecordedPage:
    shown = example.messages[1].parts[0].image.tobytes()
    return next(page for page in pages if page.image.tobytes() == shown)


def test_every_line_is_true_of_the_screen(folder, pages):
    source = DrillSource(name="drills", folder=str(folder))
    kinds = set()
    for index in range(40):
        example = source.example(index)
        page = page_of(example, pages)
        by_text = {entry.item.text: entry for entry in askable(page)}
        for given, written in lines_of(example):
            if "is not here" in written:
                assert given.removeprefix('"') not in {entry.item.text for entry in page.items}
                kinds.add("absent")
            elif given.startswith('"'):
                point = parse_call(given + written, "keyword").call.arguments["point"]
                assert point == list(by_text[given.removeprefix('"')].item.centre)
                kinds.add("found")
            elif given.startswith("Under"):
                entry = by_text[given.removeprefix('Under "').removesuffix('": ')]
                left, top, right, bottom = entry.item.box
                texts = [e.item for e in page.items if e.role == "text" and e.item.text == written.rstrip("\n")]
                assert any(left <= t.centre[0] < right and top <= t.centre[1] < bottom for t in texts)
                kinds.add("text")
            else:
                place = "({},{}) ".format(*by_text[written.rstrip("\n")].item.centre)
                assert given == place
                kinds.add("place")
    assert kinds == {"absent", "found", "text", "place"}


def test_an_example_is_a_pure_function_of_its_index(folder):
    source = DrillSource(name="drills", folder=str(folder))
    one, other = (lines_of(source.example(7)) for _ in range(2))
    assert one == other
    assert one != lines_of(source.example(8))


def test_the_letters_of_a_label_are_looked_for_in_the_tokens_that_show_them(pages):
    told = found = 0
    for page in pages:
        columns = page.image.width // RESIZE_FACTOR
        marks = {(mark.name, mark.y // RESIZE_FACTOR * columns + mark.x // RESIZE_FACTOR) for mark in page.marks}
        for entry in page.items:
            looks = where_written(page, entry.item)
            assert len(looks) == len(entry.item.text)
            for letter, token in zip(entry.item.text, looks, strict=True):
                assert token == -1 or (letter, token) in marks
                assert letter != " " or token == -1
            told += entry.role == "text"
            found += entry.role == "text" and any(token >= 0 for token in looks)
    assert found > 0.8 * told > 0


def test_random_lines_are_found_and_read_and_never_the_same():
    source = LineSource(name="lines", columns=8, rows=17)
    texts = {given for index in range(4) for given, _ in lines_of(source.example(index))}
    assert len(texts) > 20
    page = lines_page(random.Random(1), 8, 17)
    assert {entry.clickable for entry in page.items} == {True}
    assert all(any(look >= 0 for look in where_written(page, entry.item)) for entry in page.items)


def test_looks_reach_the_row_as_places_of_visual_tokens():
    processor = tiny_data.processor(TinyRecipe())
    page = lines_page(random.Random(1), 8, 17)
    entry = next(entry for entry in page.items if " " not in entry.item.text)
    line = about_text(PageItem(entry.item, "row", True, None), page, random.Random(0))
    assert line is not None
    encoded = processor.encode(drill(page, [line], "drills").messages)
    assert encoded.looks is not None
    first = encoded.inputs.input_ids.tolist().index(processor.tokenizer.special.image_pad)
    looked = [(int(i), int(place)) for i, place in enumerate(encoded.looks) if place >= 0]
    expected = where_written(page, line.item)
    assert [place - first for _, place in looked] == [look for look in expected if look >= 0]
    written = processor.decode([int(encoded.inputs.input_ids[i]) for i, _ in looked])
    assert written == line.written.replace(" ", "")
    assert all(int(encoded.labels[i]) != -100 for i, _ in looked)


def test_a_given_label_is_looked_for_letter_by_letter_from_its_second_on():
    page = lines_page(random.Random(1), 8, 17)
    entry = next(entry for entry in page.items if " " not in entry.item.text)
    given = drill(page, [looked_for(entry)], "drills").messages[-1].parts[0]
    assert (given.text, given.target) == (f'"{entry.item.text}', False)
    assert given.looks == (-1, -1, *where_written(page, entry.item)[1:])
