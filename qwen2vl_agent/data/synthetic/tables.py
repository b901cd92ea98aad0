"""Tables of words and numbers: what stands in a cell, where, which row has the most, what a column adds up to."""

import random
from dataclasses import dataclass

from PIL import Image, ImageDraw

from qwen2vl_agent.data.example import Example
from qwen2vl_agent.data.synthetic.canvas import to_grid
from qwen2vl_agent.data.synthetic.figures import Box
from qwen2vl_agent.data.synthetic.fonts import bundled, font
from qwen2vl_agent.data.synthetic.reading import box_text, conversation
from qwen2vl_agent.data.synthetic.strings import word
from qwen2vl_agent.schema.geometry import RESIZE_FACTOR

INK, LINE = (28, 28, 32), (150, 150, 158)


@dataclass(frozen=True, slots=True)
class Table:
    """A table's picture, its cells and where they are."""

    image: Image.Image
    columns: tuple[str, ...]
    """Names of the columns with numbers."""
    rows: dict[str, tuple[int, ...]]
    """Numbers by the name of the row."""
    boxes: dict[tuple[str, str], Box]
    """By row and column, in pixels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TableSource:
    """Tables with questions."""

    name: str = "tables"
    seed: int = 0
    width: int = 14
    """Tokens of a picture; its height is that of the table."""
    questions: int = 5

    def example(self, index: int) -> Example:
        rng = random.Random(f"{self.seed}/{self.name}/{index}")
        table = random_table(rng, self.width * RESIZE_FACTOR)
        turns = questions(table)
        return conversation(table.image, rng.sample(turns, min(self.questions, len(turns))), self.name)


def random_table(rng: random.Random, width: int) -> Table:
    """A table of 2 to 7 rows and 1 to 4 columns of numbers; no two names are the same."""
    names: list[str] = []
    count, fields = rng.randint(2, 7), rng.randint(1, 4)
    while len(names) < count + fields:
        name = word(rng).capitalize()[:9]
        if len(name) > 1 and name not in names:
            names.append(name)
    columns, labels = tuple(names[:fields]), names[fields:]
    most = rng.choice((10, 100, 1000))
    rows = {label: tuple(rng.randrange(most) for _ in columns) for label in labels}
    step = rng.randint(26, 34)
    height = -(-(step * (count + 1) + 16) // RESIZE_FACTOR) * RESIZE_FACTOR
    image = Image.new("RGB", (width, height), "white")
    return Table(image, columns, rows, _drawn(image, rng, columns, rows, step))


def questions(table: Table) -> list[tuple[str, str]]:
    """All questions about a table."""
    turns = [
        ("How many rows of numbers are there?", str(len(table.rows))),
        ("Name the columns of numbers.", ", ".join(table.columns)),
    ]
    for place, column in enumerate(table.columns):
        values = {label: numbers[place] for label, numbers in table.rows.items()}
        ranked = sorted(values, key=values.__getitem__)
        turns.append((f"What is the sum of {column}?", str(sum(values.values()))))
        if values[ranked[-1]] > values[ranked[-2]]:
            turns.append((f"Which row has the largest {column}?", ranked[-1]))
        if values[ranked[0]] < values[ranked[1]]:
            turns.append((f"Which row has the smallest {column}?", ranked[0]))
        for label, value in values.items():
            turns.append((f"What is {column} of {label}?", str(value)))
            box = box_text(to_grid(table.boxes[label, column], table.image.size))
            turns += [(f"Where is {column} of {label}?", box), (f"What stands in {box}?", str(value))]
    return turns


def _drawn(
    image: Image.Image, rng: random.Random, columns: tuple[str, ...], rows: dict[str, tuple[int, ...]], step: int
) -> dict[tuple[str, str], Box]:
    draw, used = ImageDraw.Draw(image), font(rng.choice(bundled()), rng.randint(13, 17))
    width, lined = image.width - 16, rng.random() < 0.6
    head = tuple(rng.randint(200, 240) for _ in range(3))
    draw.rectangle((8, 8, 8 + width, 8 + step), fill=head)
    cell = width / (len(columns) + 1)
    boxes: dict[tuple[str, str], Box] = {}
    for number, (label, values) in enumerate([("", columns), *rows.items()]):
        top = 8 + step * number
        draw.text((14, top + step / 2), label, fill=INK, font=used, anchor="lm")
        for place, (column, value) in enumerate(zip(columns, values, strict=True), 1):
            right = 8 + cell * (place + 1)
            draw.text((right - 6, top + step / 2), str(value), fill=INK, font=used, anchor="rm")
            boxes[label, column] = (right - cell, top, right, top + step)
        if lined or number == 0:
            draw.line((8, top + step, 8 + width, top + step), fill=LINE)
    return boxes
