"""Pictures of short lines of text in random places, colours and sizes, and where each line stands."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import pairwise
from typing import Any, NamedTuple

from PIL import Image, ImageDraw, ImageFont

from qwen2vl_agent.data.synthetic.strings import label
from qwen2vl_agent.schema.geometry import MODEL_GRID, RESIZE_FACTOR

_SUPERSAMPLE = 2.4
"""Pictures are drawn this much larger and reduced as a phone's screenshot is for the embedded model (540 -> 224)."""
_FONTS = ("Roboto-Regular.ttf", "Roboto-Medium.ttf")


@dataclass(frozen=True, slots=True)
class Item:
    """A line of text and its box: left, top, right, bottom on the model's [0, 1000) grid."""

    text: str
    box: tuple[int, int, int, int]

    @property
    def centre(self) -> tuple[int, int]:
        return (self.box[0] + self.box[2]) // 2, (self.box[1] + self.box[3]) // 2


class PlacedMark(NamedTuple):
    """A letter, or `icon:` and an icon's name, and the pixel of the picture in its middle."""

    name: str
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Canvas:
    """A picture and the lines on it, in reading order."""

    image: Image.Image
    items: tuple[Item, ...]
    marks: tuple[PlacedMark, ...]
    """Every letter but spaces."""


def text_canvas(rng: random.Random, *, columns: int, rows: int, max_items: int, longest: int | None = None) -> Canvas:
    """A canvas of `columns` x `rows` model tokens with up to `max_items` lines that do not overlap.

    Rows are added until there are so many lines or no room; since a row has one or two, there may be one line more.
    `longest` is the number of letters that a line has at most.
    """
    width, height = columns * RESIZE_FACTOR, rows * RESIZE_FACTOR
    size = round(width * _SUPERSAMPLE), round(height * _SUPERSAMPLE)
    ink, paper = ink_and_paper(rng)
    image = Image.new("RGB", size, paper)
    draw = ImageDraw.Draw(image)
    items: list[Item] = []
    marks: list[PlacedMark] = []
    y = rng.uniform(0, 10) * _SUPERSAMPLE
    gap = rng.choice((6.0, 26.0, height / max_items))
    while len(items) < max_items:
        font = _font(rng.choice(_FONTS), round(rng.uniform(9.5, 14.5) * _SUPERSAMPLE))
        y, row = _draw_row(draw, rng, font, y, size, ink, longest, marks)
        if not row:
            break
        items += row
        y += rng.uniform(1, gap) * _SUPERSAMPLE
    small = image.resize((width, height), Image.Resampling.BICUBIC)
    return Canvas(small, tuple(items), tuple(marks))


def _draw_row(
    draw: ImageDraw.ImageDraw,
    rng: random.Random,
    font: Any,
    y: float,
    size: tuple[int, int],
    ink: Any,
    longest: int | None,
    marks: list[PlacedMark],
) -> tuple[float, list[Item]]:
    """Draws one row of one or two lines at `y` and adds its letters to `marks`.

    Returns the row's bottom and its items, none if it does not fit.
    """
    line_height = font.size * 1.17
    if y + line_height > size[1]:
        return y, []
    x, row = rng.uniform(2, max(4.0, size[0] * 0.25)), []
    for _ in range(2):
        text = _fitting(rng, font, size[0] - x - 2, longest)
        if not text:
            break
        right = x + font.getlength(text)
        draw.text((x, y), text, fill=ink, font=font)
        marks += _marks(font, x, y + line_height / 2, text)
        row.append(Item(text, to_grid((x, y, right, y + line_height), size)))
        x = right + font.size * rng.uniform(1.5, 5)
        if rng.random() < 0.7:
            break
    return y + line_height, row


def _marks(font: Any, x: float, y: float, text: str) -> Iterator[PlacedMark]:
    """The letters of a line that begins at `x` and whose middle is at `y`, in pixels of the reduced picture."""
    ends = [x + font.getlength(text[:end]) for end in range(len(text) + 1)]
    for letter, (left, right) in zip(text, pairwise(ends), strict=True):
        if letter != " ":
            yield PlacedMark(letter, int((left + right) / 2 / _SUPERSAMPLE), int(y / _SUPERSAMPLE))


def _fitting(rng: random.Random, font: ImageFont.FreeTypeFont, room: float, longest: int | None) -> str:
    text = label(rng)
    if longest is not None:
        start = rng.randrange(max(1, len(text) - longest + 1))
        text = text[start : start + rng.randint(1, longest)].strip()
    while text and font.getlength(text) > room:
        text = text[: len(text) * 2 // 3].strip()
    return text


def to_grid(box: tuple[float, ...], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """A box in pixels of a picture of that size (width, height), on the model's grid."""
    left, top, right, bottom = (
        min(MODEL_GRID - 1, max(0, round(value * MODEL_GRID / side))) for value, side in zip(box, size * 2, strict=True)
    )
    return left, top, right, bottom


def ink_and_paper(rng: random.Random) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Ink and paper with contrast enough to read: dark on light or light on dark, sometimes tinted."""
    light = tuple(rng.randint(205, 255) for _ in range(3))
    dark = tuple(rng.randint(0, 80) for _ in range(3))
    if rng.random() < 0.5:
        light = (rng.randint(225, 255),) * 3
    if rng.random() < 0.5:
        dark = (rng.randint(0, 50),) * 3
    return (dark, light) if rng.random() < 0.55 else (light, dark)


@cache
def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    path = resources.files("qwen2vl_agent") / "envs" / "virtual_phone" / "assets" / name
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)
