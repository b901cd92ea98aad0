"""Drills about recorded screens: every line is true of the screen, and letters are looked for where they stand."""

import random
from itertools import cycle, islice
from pathlib import Path

import pytest

from qwen2vl_agent.data.synthetic.drills import DrillSource, LineSource, drill, lines_page
from qwen2vl_agent.data.synthetic.marks import where_written
from qwen2vl_agent.data.synthetic.page_store import PageItem, RecordedPage, write_pages
from qwen2vl_agent.data.synthetic.pages import alone, askable
from qwen2vl_agent.data.synthetic.screen_lines import about_place, looked_for, parts_of_rows, texts_of_names
from qwen2vl_agent.dialogue.tool_call import parse_call
from qwen2vl_agent.envs.tasks.explore import random_pages
from qwen2vl_agent.envs.virtual_phone.words import Words
from qwen2vl_agent.recipes import tiny_data
from qwen2vl_agent.recipes.harvest import record_page
from qwen2vl_agent.recipes.tiny import TinyRecipe
from qwen2vl_agent.schema.geometry import RESIZE_FACTOR

MAX_PIXELS = 136 * RESIZE_FACTOR**2
LISTS = ("contacts/main", "notes/main", "clock/alarms")


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
                parsed, named = parse_call(given + written, "keyword"), given.removeprefix('"')
                point = parsed.call.arguments["point"]
                whole = parsed.thought.endswith("tap it.")
                kinds.add("found" if whole and named in by_text else "row by its text" if whole else "part")
                if whole and named in by_text:
                    assert point == list(by_text[named].item.centre)
                else:
                    assert any(point == list(e.item.centre) for e in page.items if e.clickable)
                    assert any(holds(row, point) and named in texts_of(row, page) for row in page.items)
            elif given.startswith("Under"):
                named, text = given.removeprefix('Under "').removesuffix('": '), written.rstrip("\n")
                assert named != text
                assert {named, text} <= {e.item.text for e in page.items}
                kinds.add("text")
            else:
                place = "({},{}) ".format(*by_text[written.rstrip("\n")].item.centre)
                assert given == place
                kinds.add("place")
    assert kinds == {"absent", "found", "text", "place", "part", "row by its text"}


def holds(row: PageItem, point: list[int]) -> bool:
    left, top, right, bottom = row.item.box
    return row.role == "row" and left <= point[0] < right and top <= point[1] < bottom


def texts_of(row: PageItem, page: RecordedPage) -> set[str]:
    return {row.item.text, *(entry.item.text for entry in page.items if row.holds(entry))}


def test_what_is_under_a_name_stands_in_its_row_or_below_its_heading(pages):
    under = 0
    for page in pages:
        by_text = {entry.item.text: entry for entry in page.items if alone(entry, page)}
        for line in texts_of_names(page):
            name = by_text[line.given.removeprefix('Under "').removesuffix('": ')]
            text = next(entry for entry in page.items if entry.item == line.item)
            assert name.holds(text) or text.item.box[1] >= name.item.box[3] - 1
            under += name.holds(text)
    assert under > 20


@pytest.mark.parametrize(("app", "part"), [("contacts", "star"), ("notes", "pin"), ("clock", "switch")])
def test_the_parts_of_rows_are_told_by_the_name_of_the_row(app, part):
    wanted = (page for page in random_pages(3, (270, 600), Words.train()) if page.page in LISTS)
    page = next(page for page in (record_page(page, MAX_PIXELS) for page in wanted) if page.name.startswith(app))
    lines = [line for line in parts_of_rows(page) if f"tap its {part}." in line.written]
    rows = [entry for entry in page.items if entry.role == "row"]
    assert len(lines) >= len(rows) - 1 > 2
    for line in lines:
        point = parse_call(line.given + line.written, "keyword").call.arguments["point"]
        assert any(holds(row, point) and line.given.removeprefix('"') in texts_of(row, page) for row in rows)


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
    line = about_place(entry)
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
