"""Generators: pure functions of seed and number, with answers that the pixels bear out."""

import pickle
import random
import re

import numpy as np
import pytest

from qwen2vl_agent.data.synthetic import charts, documents, shapes, tables, texts, videos
from qwen2vl_agent.data.synthetic.figures import COLOURS
from qwen2vl_agent.data.synthetic.registry import GENERATORS, address, source
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.schema.geometry import MODEL_GRID, RESIZE_FACTOR
from qwen2vl_agent.schema.messages import ImagePart, TextPart, VideoPart

DRAWING = [name for name, generator in GENERATORS.items() if not generator.needs_screens]
PICTURES = ("texts", "documents", "charts", "tables", "shapes")
BOX = re.compile(r"<\|box_start\|>\((\d+),(\d+)\),\((\d+),(\d+)\)<\|box_end\|>")


def spelled(example) -> list:
    """Everything in it, pictures as their bytes."""
    parts = []
    for message in example.messages:
        for part in message.parts:
            shown = getattr(part, "image", None) or getattr(part, "video", None)
            pictures = shown if isinstance(shown, list) else [shown] if shown else []
            parts.append((message.role, getattr(part, "text", ""), [picture.tobytes() for picture in pictures]))
    return parts


@pytest.mark.parametrize("name", DRAWING)
def test_an_example_is_a_pure_function_of_seed_and_number(name):
    made = source(f"synthetic:{name}", 5)
    again = pickle.loads(pickle.dumps(made))
    made.example(9)
    assert spelled(made.example(3)) == spelled(again.example(3))
    assert spelled(made.example(3)) != spelled(made.example(4))
    assert spelled(made.example(3)) != spelled(source(f"synthetic:{name}", 6).example(3))


@pytest.mark.parametrize("name", [*PICTURES, "videos"])
def test_one_picture_has_several_questions_and_every_answer_is_learnt(name):
    made = source(f"synthetic:{name}", 1)
    counts = []
    for number in range(12):
        example = made.example(number)
        told = [message for message in example.messages if message.role == "assistant"]
        counts.append(len(told))
        assert all(part.target and part.text for message in told for part in message.parts)
        shown = [part for message in example.messages for part in message.parts if not isinstance(part, TextPart)]
        assert len(shown) == 1
        assert isinstance(shown[0], VideoPart if name == "videos" else ImagePart)
    assert max(counts) >= 4
    assert sum(counts) >= 3 * len(counts)


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_whole_tokens_and_boxes_lie_on_the_grid(name):
    made, boxes = source(f"synthetic:{name}", 2), 0
    for number in range(30):
        example = made.example(number)
        width, height = example.messages[1].parts[0].image.size
        assert width % RESIZE_FACTOR == height % RESIZE_FACTOR == 0
        for message in example.messages:
            for found in BOX.finditer(getattr(message.parts[-1], "text", "")):
                left, top, right, bottom = map(int, found.groups())
                assert 0 <= left < right < MODEL_GRID
                assert 0 <= top < bottom < MODEL_GRID
                boxes += 1
    assert boxes


def test_names_that_lead_nowhere_are_told(tmp_path):
    with pytest.raises(ConfigError, match="no generator 'chart'; expected one of texts"):
        source("synthetic:chart")
    with pytest.raises(ConfigError, match="synthetic:screens@FOLDER; data screens"):
        source("synthetic:screens")
    with pytest.raises(ConfigError, match="is had as synthetic:charts"):
        source(f"synthetic:charts@{tmp_path}")
    assert address("changes") == "synthetic:changes@FOLDER"


def paper_of(image) -> np.ndarray:
    values, counts = np.unique(np.asarray(image).reshape(-1, 3), axis=0, return_counts=True)
    return values[counts.argmax()].astype(int)


def test_what_is_written_on_a_page_stands_in_its_box_and_nowhere_else():
    for seed in range(25):
        drawn = texts.text_page(
            random.Random(seed), 12, 8, (1, 6), ("latin", "vietnamese", "cyrillic", "arabic"), held_out=False
        )
        ink = np.abs(np.asarray(drawn.image).astype(int) - paper_of(drawn.image)).max(2) > 40
        height, width = ink.shape
        assert drawn.items
        for item in drawn.items:
            left, top, right, bottom = item.box
            rows = slice(top * height // MODEL_GRID, bottom * height // MODEL_GRID + 1)
            columns = slice(left * width // MODEL_GRID, right * width // MODEL_GRID + 1)
            assert ink[rows, columns].any()
            ink[max(0, rows.start - 2) : rows.stop + 2, max(0, columns.start - 2) : columns.stop + 2] = False
        assert not ink.any()


def test_bars_are_as_high_as_their_values():
    met = 0
    for seed in range(60):
        chart = charts.random_chart(random.Random(seed), 392, 280)
        if chart.kind not in ("bars", "rows"):
            continue
        met += 1
        axis = 1 if chart.kind == "bars" else 0
        lengths = {label: box[2 + axis] - box[axis] for label, box in chart.boxes.items()}
        scale = {label: lengths[label] / value for label, value in chart.values.items()}
        assert max(scale.values()) == pytest.approx(min(scale.values()))
        pixels = np.asarray(chart.image)
        for left, top, right, bottom in chart.boxes.values():
            inside = pixels[int((top + bottom) / 2), int((left + right) / 2)]
            assert tuple(int(value) for value in inside) in COLOURS.values()
    assert met > 10


def test_answers_about_a_chart_are_right():
    chart = charts.Chart(None, "pie", "Cats 1999", {"Ann": 3, "Bob": 10, "Cy": 7}, {})  # type: ignore[arg-type]
    asked = dict(charts.questions(chart, random.Random(0)))
    assert asked["Which value is the largest?"] == "Bob"
    assert asked["Which value is the smallest?"] == "Ann"
    assert asked["What is the sum of all values?"] == "20"
    assert asked["What is the value of Cy?"] == "7"
    (bound,) = (question for question in asked if "above" in question)
    assert asked[bound] == {"3": "2", "7": "1", "10": "0"}[re.findall(r"\d+", bound)[0]]


def test_answers_about_a_table_are_right():
    boxes = {(row, column): (0, 0, 9, 9) for row in ("Up", "Down") for column in ("Red", "Blue")}
    image = shapes.random_scene(random.Random(0), 56, 1).image
    table = tables.Table(image, ("Red", "Blue"), {"Up": (4, 5), "Down": (1, 5)}, boxes)
    asked = dict(tables.questions(table))
    assert asked["What is Red of Down?"] == "1"
    assert asked["What is the sum of Red?"] == "5"
    assert asked["Which row has the largest Red?"] == "Up"
    assert "Which row has the largest Blue?" not in asked  # both have 5


def test_an_invoice_adds_up():
    met = 0
    for seed in range(30):
        paper = documents.random_document(random.Random(seed), 392, 392)
        asked = dict(documents.questions(paper))
        assert all(item.box[2] < MODEL_GRID - 1 for item in paper.items)  # nothing runs over the edge
        if paper.charges:
            met += 1
            total = sum(round(100 * float(asked[f"How much is {name}?"])) for name in paper.charges)
            assert round(100 * float(asked['What is given under "Total"?'])) == total
    assert met


def test_figures_are_counted_as_they_are_drawn():
    for seed in range(30):
        scene = shapes.random_scene(random.Random(seed), 252, 12)
        pixels = np.asarray(scene.image)
        asked = dict(shapes.questions(scene, random.Random(seed)))
        assert asked["How many figures are there?"] == str(len(scene.shapes))
        for colour, value in COLOURS.items():
            here = (pixels == value).all(2)
            drawn = [shape for shape in scene.shapes if shape.colour == colour]
            assert here.any() == bool(drawn)
            assert asked.get(f"How many {colour} figures are there?", "0") == str(len(drawn))
            for shape in drawn:
                left, top, right, bottom = map(int, shape.box)
                area = here[top : bottom + 2, left : right + 2]
                assert area.mean() > 0.2
                area[:] = False
            assert not here.any()


def test_events_are_on_show_when_and_where_it_is_said():
    for seed in range(12):
        film = videos.random_film(random.Random(seed), 16, 112, 3)
        assert len({event.name for event in film.events}) == 3
        for event in film.events:
            x, y = (int((event.box[side] + event.box[side + 2]) / 2) for side in (0, 1))
            colour = COLOURS[event.colour]
            shown = [second / 2 for second, picture in enumerate(film.pictures()) if picture.getpixel((x, y)) == colour]
            others = [e for e in film.events if e is not event and e.colour == event.colour]
            expected = [s / 2 for s in range(32) if event.begin_s <= s / 2 < event.end_s]
            assert set(expected) <= set(shown)
            assert others or shown == expected
        asked = dict(videos.questions(film))
        assert asked["What appears first?"] == film.events[0].name
        assert asked[f"When does the {film.events[1].name} appear?"] == f"{film.events[1].begin_s:g} s"
        assert asked[f"What follows the {film.events[1].name}?"] == film.events[2].name
