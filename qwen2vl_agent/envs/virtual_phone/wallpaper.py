"""Wallpapers drawn from a seed: a gradient with a pattern of soft shapes over it."""

import functools
import math
import random

from PIL import Image, ImageDraw

from qwen2vl_agent.envs.virtual_phone.theme import Colour, oklch

HUES = (165.0, 395.0)
"""Hues that look well when dim: from green over blue and violet to red; not the olives and browns."""
DRAWN_WIDTH = 540
"""Patterns are drawn this many pixels wide, then resized: their shapes are large and lose nothing by it."""
UNIT = DRAWN_WIDTH / 270
"""Sizes of shapes below are in 270ths of the width."""


@functools.lru_cache(maxsize=6)
def wallpaper(seed: int, size: tuple[int, int], *, dark: bool) -> Image.Image:
    """The wallpaper of a seed, dimmer for a dark theme. Shared: copy before painting on it."""
    rng = random.Random(seed)
    hue = rng.uniform(*HUES)
    second_hue = hue + rng.uniform(-45, 45)
    low, high = (0.24, 0.40) if dark else (0.48, 0.66)
    chroma = rng.uniform(0.04, 0.12)
    colours = [oklch(rng.uniform(low, high), chroma, round(h % 360)) for h in (hue, second_hue)]
    small = (DRAWN_WIDTH, max(1, round(DRAWN_WIDTH * size[1] / size[0])))
    image = _gradient(small, colours[0], colours[1], rng.choice((0, 1, 2)))
    rng.choice((_circles, _waves, _stripes, _triangles, _plain))(image, rng, colours)
    return image.resize(size, Image.Resampling.BICUBIC)


def _gradient(size: tuple[int, int], first: Colour, second: Colour, kind: int) -> Image.Image:
    ramp = Image.linear_gradient("L")
    if kind == 1:
        ramp = ramp.rotate(180)
    elif kind == 2:
        ramp = Image.radial_gradient("L")
    mask = ramp.resize(size, Image.Resampling.BILINEAR)
    return Image.composite(Image.new("RGB", size, first), Image.new("RGB", size, second), mask)


def _tint(rng: random.Random, colours: list[Colour]) -> tuple[int, int, int, int]:
    base = rng.choice(colours)
    red, green, blue = (min(255, max(0, value + rng.choice((-25, 20, 35)))) for value in base)
    return red, green, blue, rng.randint(60, 130)


def _circles(image: Image.Image, rng: random.Random, colours: list[Colour]) -> None:
    pen = ImageDraw.Draw(image, "RGBA")
    for _ in range(rng.randint(5, 12)):
        x, y, radius = rng.uniform(0, image.width), rng.uniform(0, image.height), rng.uniform(20, 120) * UNIT
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=_tint(rng, colours))


def _waves(image: Image.Image, rng: random.Random, colours: list[Colour]) -> None:
    pen = ImageDraw.Draw(image, "RGBA")
    for index in range(rng.randint(3, 6)):
        base = image.height * (0.3 + 0.13 * index)
        height, length, phase = rng.uniform(10, 45) * UNIT, rng.uniform(90, 260) * UNIT, rng.uniform(0, 6.3)
        crest = [(x, base + height * math.sin(x / length * 6.283 + phase)) for x in range(0, image.width + 8, 4)]
        pen.polygon([*crest, (image.width + 8, image.height), (0, image.height)], fill=_tint(rng, colours))


def _stripes(image: Image.Image, rng: random.Random, colours: list[Colour]) -> None:
    pen = ImageDraw.Draw(image, "RGBA")
    slope = rng.uniform(-0.8, 0.8)
    step = rng.uniform(50, 120) * UNIT
    for index in range(-4, math.ceil(image.height / step) + 4):
        if index % 2:
            top = index * step
            end = top + slope * image.width
            pen.polygon(
                [(0, top), (image.width, end), (image.width, end + step), (0, top + step)], fill=_tint(rng, colours)
            )


def _triangles(image: Image.Image, rng: random.Random, colours: list[Colour]) -> None:
    pen = ImageDraw.Draw(image, "RGBA")
    for _ in range(rng.randint(6, 14)):
        x, y = rng.uniform(0, image.width), rng.uniform(0, image.height)
        corners = [(x + rng.uniform(-130, 130) * UNIT, y + rng.uniform(-130, 130) * UNIT) for _ in range(3)]
        pen.polygon(corners, fill=_tint(rng, colours))


def _plain(image: Image.Image, rng: random.Random, colours: list[Colour]) -> None:
    """Nothing over the gradient."""
