"""Lines of text in any script: which font has a letter, where each piece of a line stands, and how wide it is.

Roboto has Latin, Greek and Cyrillic letters; the others come from the fonts that Android itself falls back to. The
letters of Devanagari and Thai, which change their places, are laid out by Pillow's Raqm where this machine has it.
"""

import functools
from bisect import bisect_right
from itertools import groupby, pairwise
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont, features

from qwen2vl_agent.schema.bidi import as_seen

ASSETS = Path(__file__).parent / "assets"
FONTS = {
    "regular": "Roboto-Regular.ttf",
    "medium": "Roboto-Medium.ttf",
    "icons": "MaterialIcons-Regular.ttf",
    "armenian": "NotoSansArmenian-Regular.ttf",
    "hebrew": "NotoSansHebrew-Regular.ttf",
    "arabic": "NotoSansArabic-Regular.ttf",
    "devanagari": "NotoSansDevanagari-Regular.ttf",
    "thai": "NotoSansThai-Regular.ttf",
    "georgian": "NotoSansGeorgian-Regular.ttf",
    "cjk": "DroidSansFallback.ttf",
}
SHAPED = ("devanagari", "thai")
"""Fonts whose letters change their places."""
BLOCKS = (
    (0x0530, "armenian"),
    (0x0590, "hebrew"),
    (0x0600, "arabic"),
    (0x0700, ""),
    (0x0750, "arabic"),
    (0x0780, ""),
    (0x08A0, "arabic"),
    (0x0900, "devanagari"),
    (0x0980, ""),
    (0x0E00, "thai"),
    (0x0E80, ""),
    (0x10A0, "georgian"),
    (0x1100, "cjk"),
    (0x1200, ""),
    (0x2E80, "cjk"),
    (0xD7B0, ""),
    (0xF900, "cjk"),
    (0xFB00, ""),
    (0xFB13, "armenian"),
    (0xFB1D, "hebrew"),
    (0xFB50, "arabic"),
    (0xFE00, ""),
    (0xFE30, "cjk"),
    (0xFE70, "arabic"),
    (0xFF00, "cjk"),
    (0xFFF0, ""),
)
"""Where the blocks of a font's letters begin in Unicode; without a name, letters that Roboto has or nobody."""
STARTS = [start for start, _ in BLOCKS]
MEASURE_PX = 100
"""Font size at which widths are measured, so that layout does not depend on the resolution."""


class Line(NamedTuple):
    """A painted line; all in pixels."""

    mask: Image.Image
    left: int
    """Offset of the mask from the start of the baseline."""
    top: int
    width: float
    """Its advance."""
    letters: tuple[tuple[str, float], ...]
    """Each letter, from left to right, with the middle of it from the line's start."""


def font_of(letter: str, weight: str) -> str:
    """The font that has a letter."""
    place = bisect_right(STARTS, ord(letter)) - 1
    return (BLOCKS[place][1] if place >= 0 else "") or weight


@functools.lru_cache(maxsize=256)
def font(name: str, pixels: float) -> ImageFont.FreeTypeFont:
    """A font of a size; letters stand one after the other, but for scripts that must be shaped."""
    raqm = name in SHAPED and features.check("raqm")
    engine = ImageFont.Layout.RAQM if raqm else ImageFont.Layout.BASIC
    return ImageFont.truetype(str(ASSETS / FONTS[name]), pixels, layout_engine=engine)


@functools.lru_cache(maxsize=20_000)
def pieces(text: str, weight: str) -> tuple[tuple[str, str], ...]:
    """The line as it is seen, from left to right, cut where the font changes: fonts and texts."""
    if text.isascii():
        return ((weight, text),)
    named = [(font_of(letter, weight), letter) for letter in as_seen(text)]
    return tuple((name, "".join(letter for _, letter in run)) for name, run in groupby(named, lambda pair: pair[0]))


@functools.lru_cache(maxsize=20_000)
def text_width(text: str, size: float, weight: str = "regular") -> float:
    """Width of a line in the unit of `size`."""
    lengths = (font(name, MEASURE_PX).getlength(piece) for name, piece in pieces(text, weight))
    return sum(lengths) * size / MEASURE_PX


@functools.lru_cache(maxsize=3000)
def paint_line(text: str, weight: str, pixels: float) -> Line:
    """The line at a size in pixels."""
    placed, letters, start = [], [], 0.0
    for name, piece in pieces(text, weight):
        used = font(name, pixels)
        left, top, right, bottom = used.getbbox(piece, anchor="ls")
        placed.append((used, piece, start, (start + left, top, start + right, bottom)))
        letters += [(letter, start + middle) for letter, middle in zip(piece, letter_middles(used, piece), strict=True)]
        start += used.getlength(piece)
    boxes = [box for *_, box in placed]
    left, top = int(min(box[0] for box in boxes)) - 1, int(min(box[1] for box in boxes)) - 1
    right, bottom = int(max(box[2] for box in boxes)) + 1, int(max(box[3] for box in boxes)) + 1
    mask = Image.new("L", (max(1, right - left), max(1, bottom - top)))
    for used, piece, x, _ in placed:
        ImageDraw.Draw(mask).text((x - left, -top), piece, font=used, fill=255, anchor="ls")
    return Line(mask, left, top, start, tuple(letters))


def letter_middles(used: ImageFont.FreeTypeFont, text: str) -> list[float]:
    """The middle of every letter of a line, in pixels from its start."""
    ends = [used.getlength(text[:end]) for end in range(len(text) + 1)]
    return [(left + right) / 2 for left, right in pairwise(ends)]
