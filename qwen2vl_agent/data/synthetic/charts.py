"""Charts of a few named values, drawn as bars, lines or a pie, with questions that need one value or several."""

import random
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from qwen2vl_agent.data.example import Example
from qwen2vl_agent.data.synthetic.canvas import to_grid
from qwen2vl_agent.data.synthetic.figures import COLOURS, Box, Rgb
from qwen2vl_agent.data.synthetic.fonts import bundled, font
from qwen2vl_agent.data.synthetic.reading import box_text, conversation
from qwen2vl_agent.data.synthetic.strings import word
from qwen2vl_agent.schema.geometry import RESIZE_FACTOR

KINDS = ("bars", "rows", "line", "pie")
INK = (30, 30, 34)
GRIDLINES = 4
TOP, FOOT, SIDE = 40, 34, 46
"""Pixels beside the plot, for the title, the labels and the scale."""
HEADROOM = 18
"""Pixels above the highest line, for a value."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart's picture and what it shows."""

    image: Image.Image
    kind: str
    title: str
    values: dict[str, int]
    """By label, in the order in which they stand."""
    boxes: dict[str, Box]
    """Of bars only, in pixels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ChartSource:
    """Charts with questions."""

    name: str = "charts"
    seed: int = 0
    columns: int = 14
    rows: int = 10
    """Tokens of a picture."""
    questions: int = 5

    def example(self, index: int) -> Example:
        rng = random.Random(f"{self.seed}/{self.name}/{index}")
        chart = random_chart(rng, self.columns * RESIZE_FACTOR, self.rows * RESIZE_FACTOR)
        turns = questions(chart, rng)
        return conversation(chart.image, rng.sample(turns, min(self.questions, len(turns))), self.name)


def random_chart(rng: random.Random, width: int, height: int) -> Chart:
    """A chart of 3 to 6 values of which no two are the same; each is written at its place."""
    kind = rng.choice(KINDS)
    count = rng.randint(3, 6)
    labels: list[str] = []
    while len(labels) < count:
        label = word(rng).capitalize()[:8]
        if len(label) > 1 and label not in labels:
            labels.append(label)
    top = rng.choice((20, 100, 400))
    values = dict(zip(labels, rng.sample(range(max(2, top // 10), top), count), strict=True))
    title = f"{word(rng).capitalize()} {rng.randint(1990, 2030)}"
    image = Image.new("RGB", (width, height), tuple(rng.randint(243, 255) for _ in range(3)))
    small, large = font(rng.choice(bundled()), 13), font(rng.choice(bundled()), 18)
    draw = ImageDraw.Draw(image)
    draw.text((width / 2, TOP / 2), title, fill=INK, font=large, anchor="mm")
    colours = rng.sample(sorted(COLOURS.values()), count)
    plot = (SIDE, TOP, width - 10, height - FOOT)
    boxes = {"bars": _bars, "rows": _rows, "line": _line, "pie": _pie}[kind](draw, plot, values, colours, small)
    return Chart(image, kind, title, values, boxes)


def questions(chart: Chart, rng: random.Random) -> list[tuple[str, str]]:
    """All questions about a chart."""
    values, ranked = chart.values, sorted(chart.values, key=chart.values.__getitem__)
    least, most = ranked[0], ranked[-1]
    one, other = sorted(rng.sample(sorted(values), 2), key=values.__getitem__)
    bound = rng.choice(sorted(values.values()))
    turns = [
        ("What is the title of the chart?", chart.title),
        ("How many values does the chart show?", str(len(values))),
        ("Which value is the largest?", most),
        ("Which value is the smallest?", least),
        (f"By how much is {other} larger than {one}?", str(values[other] - values[one])),
        (f"What is the sum of {one} and {other}?", str(values[one] + values[other])),
        (f"Is {one} larger than {other}?", "No"),
        (f"Is {other} larger than {one}?", "Yes"),
        (f"How many values are above {bound}?", str(sum(value > bound for value in values.values()))),
        ("What is the sum of all values?", str(sum(values.values()))),
    ]
    turns += [(f"What is the value of {label}?", str(value)) for label, value in values.items()]
    turns += [
        (f"Where is the bar of {label}?", box_text(to_grid(box, chart.image.size)))
        for label, box in chart.boxes.items()
    ]
    return turns


Draw = ImageDraw.ImageDraw
Font = ImageFont.FreeTypeFont
Values = dict[str, int]
Colours = list[Rgb]


def _bars(draw: Draw, plot: Box, values: Values, colours: Colours, used: Font) -> dict[str, Box]:
    left, top, right, bottom = plot
    most = _scale(draw, plot, max(values.values()), used)
    step, boxes = (right - left) / len(values), {}
    for number, (label, value) in enumerate(values.items()):
        height = (bottom - top - HEADROOM) * value / most
        x = left + step * number
        boxes[label] = (x + step * 0.2, bottom - height, x + step * 0.8, bottom)
        draw.rectangle(boxes[label], fill=colours[number])
        draw.text((x + step / 2, bottom - height - 2), str(value), fill=INK, font=used, anchor="mb")
        draw.text((x + step / 2, bottom + 6 + 11 * (number % 2)), label, fill=INK, font=used, anchor="mt")
    return boxes


def _rows(draw: Draw, plot: Box, values: Values, colours: Colours, used: Font) -> dict[str, Box]:
    left, top, right, bottom = plot
    left += 40
    step, boxes = (bottom - top) / len(values), {}
    for number, (label, value) in enumerate(values.items()):
        width = (right - left - 34) * value / max(values.values())
        y = top + step * number
        boxes[label] = (left, y + step * 0.2, left + width, y + step * 0.8)
        draw.rectangle(boxes[label], fill=colours[number])
        draw.text((left + width + 4, y + step / 2), str(value), fill=INK, font=used, anchor="lm")
        draw.text((left - 6, y + step / 2), label, fill=INK, font=used, anchor="rm")
    return boxes


def _line(draw: Draw, plot: Box, values: Values, colours: Colours, used: Font) -> dict[str, Box]:
    left, top, right, bottom = plot
    most = _scale(draw, plot, max(values.values()), used)
    step = (right - left) / len(values)
    points = [
        (left + step * (number + 0.5), bottom - (bottom - top - HEADROOM) * value / most)
        for number, value in enumerate(values.values())
    ]
    draw.line(points, fill=colours[0], width=3)
    for number, ((label, value), (x, y)) in enumerate(zip(values.items(), points, strict=True)):
        draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill=colours[0])
        draw.text((x, y - 6), str(value), fill=INK, font=used, anchor="mb")
        draw.text((x, bottom + 6 + 11 * (number % 2)), label, fill=INK, font=used, anchor="mt")
    return {}


def _pie(draw: Draw, plot: Box, values: Values, colours: Colours, used: Font) -> dict[str, Box]:
    left, top, right, bottom = plot
    side = min(right - left, bottom - top)
    box, total, angle = (left, top, left + side, top + side), sum(values.values()), -90.0
    for number, (label, value) in enumerate(values.items()):
        end = angle + 360 * value / total
        draw.pieslice(box, angle, end, fill=colours[number])
        angle = end
        y = top + 8 + 24 * number
        draw.rectangle((left + side + 18, y, left + side + 30, y + 12), fill=colours[number])
        draw.text((left + side + 36, y + 6), f"{label} {value}", fill=INK, font=used, anchor="lm")
    return {}


def _scale(draw: Draw, plot: Box, most: int, used: Font) -> int:
    """Lines across the plot, with what they stand for; gives the highest, in whole steps."""
    step = -(-most // GRIDLINES)
    left, top, right, bottom = plot
    for number in range(GRIDLINES + 1):
        y = bottom - (bottom - top - HEADROOM) * number / GRIDLINES
        draw.line((left, y, right, y), fill=(200, 200, 205))
        draw.text((left - 4, y), str(step * number), fill=INK, font=used, anchor="rm")
    return step * GRIDLINES
