"""Coloured figures with names, as shapes, charts and videos show them."""

import math

from PIL import ImageDraw

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""
Rgb = tuple[int, int, int]

COLOURS: dict[str, Rgb] = {
    "red": (214, 39, 40),
    "green": (34, 139, 60),
    "blue": (31, 90, 200),
    "yellow": (240, 200, 20),
    "purple": (140, 60, 180),
    "orange": (245, 130, 20),
    "black": (20, 20, 24),
    "pink": (240, 130, 180),
}
"""Told apart at any size, by names that nobody would argue about."""
CORNERS = {"triangle": 3, "diamond": 4, "hexagon": 6}
"""Of regular polygons that stand on their point or, the triangle, on a side."""
FIGURES = ("circle", "square", *CORNERS, "star", "cross")


def draw_figure(draw: ImageDraw.ImageDraw, figure: str, box: Box, colour: Rgb) -> None:
    """Fills a figure so that it lies within the box."""
    if figure == "circle":
        draw.ellipse(box, fill=colour)
    elif figure == "square":
        draw.rectangle(box, fill=colour)
    else:
        draw.polygon(_outline(figure, box), fill=colour)


def _outline(figure: str, box: Box) -> list[tuple[float, float]]:
    if figure in CORNERS:
        corners = CORNERS[figure]
        return [_on_ellipse(box, 1.0, corner / corners) for corner in range(corners)]
    if figure == "star":
        return [_on_ellipse(box, 0.42 if corner % 2 else 1.0, corner / 10) for corner in range(10)]
    if figure == "cross":
        steps = (0, 1, 1, 2, 2, 3, 3, 2, 2, 1, 1, 0), (1, 1, 0, 0, 1, 1, 2, 2, 3, 3, 2, 2)
        left, top, right, bottom = box
        return [(left + (right - left) * x / 3, top + (bottom - top) * y / 3) for x, y in zip(*steps, strict=True)]
    raise ValueError(f"there is no figure {figure!r}; expected one of {', '.join(FIGURES)}")


def _on_ellipse(box: Box, radius: float, turn: float) -> tuple[float, float]:
    """The point at a part of a turn, clockwise from the top, of the ellipse within the box."""
    left, top, right, bottom = box
    angle = 2 * math.pi * turn
    x, y = radius * math.sin(angle), -radius * math.cos(angle)
    return (left + right + x * (right - left)) / 2, (top + bottom + y * (bottom - top)) / 2
