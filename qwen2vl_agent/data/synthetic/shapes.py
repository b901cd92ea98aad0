"""Scattered figures: how many there are of each, where each is, which is the largest, what lies beside what."""

import random
from dataclasses import dataclass
from itertools import pairwise

from PIL import Image, ImageDraw

from qwen2vl_agent.data.example import Example
from qwen2vl_agent.data.synthetic.canvas import to_grid
from qwen2vl_agent.data.synthetic.figures import COLOURS, FIGURES, Box, draw_figure
from qwen2vl_agent.data.synthetic.reading import box_text, conversation
from qwen2vl_agent.schema.geometry import RESIZE_FACTOR

TRIES = 40
"""Places looked at for a figure that shall not touch another."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A figure on a picture; the box in pixels."""

    colour: str
    figure: str
    box: Box

    @property
    def name(self) -> str:
        return f"{self.colour} {self.figure}"

    @property
    def side(self) -> float:
        return self.box[2] - self.box[0]


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture of figures that do not touch."""

    image: Image.Image
    shapes: tuple[Shape, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ShapeSource:
    """Scenes with questions."""

    name: str = "shapes"
    seed: int = 0
    tokens: int = 9
    """Of each side of a picture."""
    shapes: tuple[int, int] = (1, 12)
    questions: int = 6

    def example(self, index: int) -> Example:
        rng = random.Random(f"{self.seed}/{self.name}/{index}")
        scene = random_scene(rng, self.tokens * RESIZE_FACTOR, rng.randint(*self.shapes))
        turns = questions(scene, rng)
        return conversation(scene.image, rng.sample(turns, min(self.questions, len(turns))), self.name)


def random_scene(rng: random.Random, side: int, most: int) -> Scene:
    """Up to so many figures, of few colours and kinds, so that there is something to count."""
    image = Image.new("RGB", (side, side), tuple(rng.randint(225, 255) for _ in range(3)))
    colours, figures = rng.sample(sorted(COLOURS), 4), rng.sample(FIGURES, 4)
    shapes: list[Shape] = []
    for _ in range(most):
        box = _free_box(rng, side, shapes)
        if box is None:
            break
        shapes.append(Shape(rng.choice(colours), rng.choice(figures), box))
    draw = ImageDraw.Draw(image)
    for shape in shapes:
        draw_figure(draw, shape.figure, shape.box, COLOURS[shape.colour])
    return Scene(image, tuple(shapes))


def questions(scene: Scene, rng: random.Random) -> list[tuple[str, str]]:
    """All kinds of questions; about what is not there too."""
    shapes = scene.shapes
    colour, figure = rng.choice(sorted(COLOURS)), rng.choice(FIGURES)
    names = sorted({shape.name for shape in shapes} | {f"{colour} {figure}"})
    turns = [
        ("How many figures are there?", str(len(shapes))),
        *(_count(_plural(name), sum(shape.name == name for shape in shapes)) for name in names),
        *(
            _count(f"{name} figures", sum(s.colour == name for s in shapes))
            for name in sorted({s.colour for s in shapes})
        ),
        *(_count(_plural(name), sum(s.figure == name for s in shapes)) for name in sorted({s.figure for s in shapes})),
    ]
    alone = [shape for shape in shapes if [other.name for other in shapes].count(shape.name) == 1]
    turns += [(f"Where is the {shape.name}?", box_text(to_grid(shape.box, scene.image.size))) for shape in alone]
    by_side = sorted(shapes, key=lambda shape: shape.side)
    if len(shapes) > 1 and by_side[-1].side > 1.15 * by_side[-2].side:
        turns.append(("What is the largest figure?", by_side[-1].name))
    for one, other in pairwise(alone):
        side = "left" if one.box[2] < other.box[0] else "right" if one.box[0] > other.box[2] else ""
        if side:
            turns.append((f"Is the {one.name} left or right of the {other.name}?", side))
    return turns


def _count(what: str, count: int) -> tuple[str, str]:
    return f"How many {what} are there?", str(count)


def _plural(name: str) -> str:
    return f"{name}es" if name.endswith("s") else f"{name}s"


def _free_box(rng: random.Random, side: int, shapes: list[Shape]) -> Box | None:
    for _ in range(TRIES):
        size = rng.uniform(0.08, 0.26) * side
        x, y = (rng.uniform(1, side - size - 2) for _ in range(2))
        box = (x, y, x + size, y + size)
        if not any(_touch(box, shape.box) for shape in shapes):
            return box
    return None


def _touch(one: Box, other: Box) -> bool:
    return one[0] < other[2] + 2 and other[0] < one[2] + 2 and one[1] < other[3] + 2 and other[1] < one[3] + 2
