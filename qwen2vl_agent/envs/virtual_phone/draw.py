"""A canvas in dp: anti-aliased shapes, text and icons on a PIL image, fast because every mask is kept."""

import functools
from typing import NamedTuple

from PIL import Image, ImageDraw

from qwen2vl_agent.envs.virtual_phone.icons import CODEPOINTS
from qwen2vl_agent.envs.virtual_phone.lettering import font, paint_line, text_width
from qwen2vl_agent.envs.virtual_phone.theme import Colour

CAP_HEIGHT = 0.711
"""Height of a capital letter, in ems. Source: Roboto's OS/2 table."""
SUPERSAMPLING = 4
ELLIPSIS = "…"
DIRECTED_ICONS = frozenset(("arrow_back", "arrow_left", "send", "backspace", "keyboard_return"))
"""Icons that are mirrored where the layout is."""


class Rect(NamedTuple):
    """A rectangle in dp."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top

    @property
    def centre(self) -> tuple[float, float]:
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    def contains(self, x: float, y: float) -> bool:
        """Whether a point lies in it; right and bottom edges do not belong to it."""
        return self.left <= x < self.right and self.top <= y < self.bottom

    def clip(self, other: "Rect") -> "Rect":
        """The part that lies in `other` too; may be empty."""
        left, top = max(self.left, other.left), max(self.top, other.top)
        return Rect(left, top, max(left, min(self.right, other.right)), max(top, min(self.bottom, other.bottom)))

    def inset(self, x: float, y: float) -> "Rect":
        """It, smaller by `x` on the left and right and by `y` above and below."""
        return Rect(self.left + x, self.top + y, self.right - x, self.bottom - y)


class Mark(NamedTuple):
    """A letter or an icon that was painted, and its middle in pixels."""

    name: str
    """The letter, or `icon:` and the icon's name."""
    x: float
    y: float


class Canvas:
    """Paints on an image of `scale` pixels per dp."""

    def __init__(
        self,
        image: Image.Image,
        scale: float,
        font_scale: float = 1.0,
        *,
        mark: bool = False,
        mirror_dp: float | None = None,
    ) -> None:
        """`mark`: remember in `marks` what can be read. `mirror_dp`: the width across which all places are mirrored."""
        self._mirror_dp = mirror_dp
        self.image = image
        self.scale = scale
        self.font_scale = font_scale
        self.marks: list[Mark] | None = [] if mark else None

    def fill(self, rect: Rect, colour: Colour) -> None:
        """A plain rectangle."""
        self.image.paste(colour, self._covered(rect))

    def round(self, rect: Rect, radius: float, colour: Colour, bottom_radius: float | None = None) -> None:
        """A rectangle with round corners; the lower two may have another radius."""
        left, top, right, bottom = self._covered(rect)
        most = min(right - left, bottom - top) // 2
        if most <= 0:
            return
        above = min(round(radius * self.scale), most)
        below = above if bottom_radius is None else min(round(bottom_radius * self.scale), most)
        paste = self.image.paste
        paste(colour, (left, top + above, right, bottom - below))
        if above:
            paste(colour, (left + above, top, right - above, top + above))
            first, second, _, _ = _corners(above)
            paste(colour, (left, top), first)
            paste(colour, (right - above, top), second)
        if below:
            paste(colour, (left + below, bottom - below, right - below, bottom))
            _, _, third, fourth = _corners(below)
            paste(colour, (left, bottom - below), third)
            paste(colour, (right - below, bottom - below), fourth)

    def ring(self, rect: Rect, radius: float, width: float, colour: Colour, inside: Colour) -> None:
        """A rounded outline around a filled inside."""
        self.round(rect, radius, colour)
        self.round(rect.inset(width, width), radius - width, inside)

    def glass(self, rect: Rect, radius: float, colour: Colour, opacity: float) -> None:
        """A translucent rounded rectangle."""
        left, top, right, bottom = self._box(rect)
        mask = _glass_mask(right - left, bottom - top, round(radius * self.scale), round(255 * opacity))
        self.image.paste(colour, (left, top), mask)

    def shade(self, opacity: float) -> None:
        """Darken all that is painted so far."""
        self.image.paste(self.image.point([round(value * (1 - opacity)) for value in range(256)] * 3))

    def circle(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """A disc."""
        self.shape(x, y, radius, "circle", colour)

    def shape(self, x: float, y: float, radius: float, shape: str, colour: Colour) -> None:
        """A disc, a squircle or a rounded square, of half width `radius`."""
        side = max(2, round(2 * radius * self.scale))
        self._covered(Rect(x - radius, y - radius, x + radius, y + radius))
        left, top = round((self._across(x) - radius) * self.scale), round((y - radius) * self.scale)
        self.image.paste(colour, (left, top), _shape_mask(side, shape))

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: float,
        colour: Colour,
        *,
        weight: str = "regular",
        align: str = "left",
        max_width: float | None = None,
    ) -> None:
        """One line; `y` is the middle of its capital letters. Text too wide ends in an ellipsis."""
        if not text:
            return
        size *= self.font_scale
        if max_width is not None:
            text = fit(text, size, weight, max_width)
        baseline = round((y + CAP_HEIGHT * size / 2) * self.scale)
        pixels = round(size * self.scale, 2)
        line = paint_line(text, weight, pixels)
        if self._mirror_dp is not None:
            x, align = self._across(x), {"left": "right", "right": "left"}.get(align, align)
        start = x * self.scale - {"left": 0.0, "middle": line.width / 2, "right": line.width}[align]
        if self.marks is not None:
            self.marks += [Mark(letter, start + x, y * self.scale) for letter, x in line.letters if letter != " "]
        self.image.paste(colour, (round(start) + line.left, baseline + line.top), line.mask)

    def icon(self, x: float, y: float, name: str, size: float, colour: Colour) -> None:
        """An icon with its middle at a point."""
        mask = _icon_mask(name, round(size * self.scale))
        if self._mirror_dp is not None:
            x = self._across(x)
            mask = mask.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if name in DIRECTED_ICONS else mask
        left, top = round(x * self.scale - mask.width / 2), round(y * self.scale - mask.height / 2)
        self.image.paste(colour, (left, top), mask)
        if self.marks is not None:
            self.marks.append(Mark(f"icon:{name}", x * self.scale, y * self.scale))

    def _across(self, x: float) -> float:
        """Where a place lies after mirroring."""
        return x if self._mirror_dp is None else self._mirror_dp - x

    def _covered(self, rect: Rect) -> tuple[int, int, int, int]:
        """The rectangle in pixels, which is about to be painted over: what was to be read there is no longer."""
        left, top, right, bottom = box = self._box(rect)
        if self.marks:
            self.marks = [mark for mark in self.marks if not (left <= mark.x < right and top <= mark.y < bottom)]
        return box

    def _box(self, rect: Rect) -> tuple[int, int, int, int]:
        scale = self.scale
        if self._mirror_dp is not None:
            rect = Rect(self._across(rect.right), rect.top, self._across(rect.left), rect.bottom)
        return round(rect[0] * scale), round(rect[1] * scale), round(rect[2] * scale), round(rect[3] * scale)


@functools.lru_cache(maxsize=20_000)
def fit(text: str, size: float, weight: str, max_width: float) -> str:
    """The text, or as much of it as fits with an ellipsis."""
    if text_width(text, size, weight) <= max_width:
        return text
    while text and text_width(text + ELLIPSIS, size, weight) > max_width:
        text = text[:-1]
    return text.rstrip() + ELLIPSIS


@functools.lru_cache(maxsize=20_000)
def wrap(text: str, size: float, weight: str, max_width: float) -> tuple[str, ...]:
    """The lines into which a text falls; words too long for a line are broken."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            longer = f"{line} {word}" if line else word
            if text_width(longer, size, weight) <= max_width:
                line = longer
                continue
            if line:
                lines.append(line)
            line = word
            while text_width(line, size, weight) > max_width and len(line) > 1:
                head = _head(line, size, weight, max_width)
                lines.append(head)
                line = line[len(head) :]
        lines.append(line)
    return tuple(lines)


def _head(word: str, size: float, weight: str, max_width: float) -> str:
    length = len(word) - 1
    while length > 1 and text_width(word[:length], size, weight) > max_width:
        length -= 1
    return word[:length]


@functools.lru_cache(maxsize=1000)
def _icon_mask(name: str, pixels: int) -> Image.Image:
    """Mask of an icon in its square."""
    mask = Image.new("L", (pixels, pixels))
    ImageDraw.Draw(mask).text((0, pixels), CODEPOINTS[name], font=font("icons", pixels), fill=255, anchor="ls")
    return mask


@functools.lru_cache(maxsize=500)
def _shape_mask(side: int, shape: str) -> Image.Image:
    large = side * SUPERSAMPLING
    mask = Image.new("L", (large, large))
    pen = ImageDraw.Draw(mask)
    if shape == "circle":
        pen.ellipse((0, 0, large - 1, large - 1), fill=255)
    else:
        corner = {"squircle": 0.38, "square": 0.22}[shape]
        pen.rounded_rectangle((0, 0, large - 1, large - 1), radius=large * corner, fill=255)
    return mask.resize((side, side), Image.Resampling.BOX)


@functools.lru_cache(maxsize=500)
def _corners(radius: int) -> tuple[Image.Image, Image.Image, Image.Image, Image.Image]:
    """Quarters of a disc: upper left, upper right, lower left, lower right."""
    disc = _shape_mask(2 * radius, "circle")
    far = 2 * radius
    return (
        disc.crop((0, 0, radius, radius)),
        disc.crop((radius, 0, far, radius)),
        disc.crop((0, radius, radius, far)),
        disc.crop((radius, radius, far, far)),
    )


@functools.lru_cache(maxsize=50)
def _glass_mask(width: int, height: int, radius: int, opacity: int) -> Image.Image:
    mask = Image.new("L", (width, height))
    radius = min(radius, width // 2, height // 2)
    pen = ImageDraw.Draw(mask)
    pen.rectangle((0, radius, width, height - radius - 1), fill=opacity)
    pen.rectangle((radius, 0, width - radius - 1, height), fill=opacity)
    spots = ((0, 0), (width - radius, 0), (0, height - radius), (width - radius, height - radius))
    for corner, spot in zip(_corners(radius) if radius else (), spots, strict=False):
        mask.paste(corner.point([round(value * opacity / 255) for value in range(256)]), spot)
    return mask
