"""The parts that pages are made of. A widget knows its height and, given its place, what to paint and what to touch."""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from qwen2vl_agent.envs.virtual_phone.draw import Canvas, Rect, wrap
from qwen2vl_agent.envs.virtual_phone.lettering import text_width
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.theme import LARGEST_FONT, Colour, Theme, oklch

Handler = Callable[[PhoneState], None]
Paint = Callable[[Canvas, Theme], None]
DragHandler = Callable[[PhoneState, float, float], None]
"""What a finger does that moves by so many dp to the right and down."""
PinchHandler = Callable[[PhoneState, float], None]
"""What two fingers do that end so many times as far apart as they began."""

WIDTH = 360.0
"""Width in dp of a phone that is held upright; what is wider is at least `LEAST_HEIGHT` high."""
LEAST_HEIGHT = 780.0
"""Height in dp in which every page has room: a tablet or a screen that lies on its side shows everything smaller
instead, and has more room beside it."""
TITLE_SIZE = 21.0
DETAIL_SIZE = 16.5
APP_BAR_HEIGHT = 64.0
ROW_HEIGHT = 68.0
TALL_ROW_HEIGHT = 78.0
CARD_MARGIN = 12.0
CARD_GAP = 2.0
CARD_RADIUS = 22.0
"""Of the outer corners of a group of cards."""
INNER_RADIUS = 5.0


def scale_of(size: tuple[int, int]) -> float:
    """Pixels per dp of a screen of `size` pixels.

    Worked example: a phone of 1080 x 2400 has 3, and 360 x 800 dp; a tablet of 1280 x 800 has 1.03, and 1248 x 780 dp.
    """
    return min(size[0] / WIDTH, size[1] / LEAST_HEIGHT)


def screen_of(size: tuple[int, int]) -> Rect:
    """The whole of a screen of `size` pixels, in dp."""
    scale = scale_of(size)
    return Rect(0, 0, max(WIDTH, size[0] / scale), size[1] / scale)


@dataclass(frozen=True, slots=True)
class Target:
    """What an accessibility tree tells of a place, and what happens there."""

    id: str
    role: str
    text: str
    on_tap: Handler | None = None
    on_hold: Handler | None = None
    checked: bool | None = None
    focused: bool = False
    scrollable: bool = False
    blocks: bool = False
    """Whether it catches touches although it does nothing (a dialog's surface)."""
    listed: bool = True
    on_drag: DragHandler | None = None
    on_pinch: PinchHandler | None = None

    @property
    def clickable(self) -> bool:
        return self.on_tap is not None or self.on_hold is not None


@dataclass(frozen=True, slots=True)
class Placed:
    """A widget's part at its place, in dp."""

    rect: Rect
    paint: Paint | None = None
    target: Target | None = None


class Widget(Protocol):
    """Anything that can stand in a column."""

    @property
    def height(self) -> float:
        """Height in dp."""

    def place(self, left: float, top: float, width: float) -> Iterator[Placed]:
        """Its parts, back to front."""


def label(
    rect: Rect,
    id: str,
    text: str,
    size: float,
    *,
    colour: str | Colour = "text",
    weight: str = "regular",
    align: str = "left",
) -> Placed:
    """A line of text that can be read but not touched, in the vertical middle of a rectangle."""

    def paint(canvas: Canvas, theme: Theme) -> None:
        ink = getattr(theme, colour) if isinstance(colour, str) else colour
        x = {"left": rect.left, "middle": rect.centre[0], "right": rect.right}[align]
        canvas.text(x, rect.centre[1], text, size, ink, weight=weight, align=align, max_width=rect.width)

    return Placed(_ink_box(rect, text, size, weight, align), paint, Target(id, "text", text))


def _ink_box(rect: Rect, text: str, size: float, weight: str, align: str) -> Rect:
    width, height = min(rect.width, text_width(text, size, weight)), min(rect.height, size * 1.3)
    left = {"left": rect.left, "middle": rect.centre[0] - width / 2, "right": rect.right - width}[align]
    return Rect(left, rect.centre[1] - height / 2, left + width, rect.centre[1] + height / 2)


def icon_button(
    x: float, y: float, id: str, icon: str, text: str, on_tap: Handler, *, colour: str = "text", disc: bool = False
) -> Placed:
    """An icon of 52 dp to tap, with its middle at a point."""

    def paint(canvas: Canvas, theme: Theme) -> None:
        if disc:
            canvas.circle(x, y, 22, theme.container)
        canvas.icon(x, y, icon, 28, theme.on_container if disc else getattr(theme, colour))

    return Placed(Rect(x - 26, y - 26, x + 26, y + 26), paint, Target(id, "icon", text, on_tap))


@dataclass(frozen=True, slots=True)
class Action:
    """An icon at the end of an app bar or a row."""

    id: str
    icon: str
    text: str
    on_tap: Handler
    accent: bool = False
    disc: bool = False
    """Whether it stands on a disc while it is accented."""


@dataclass(frozen=True, slots=True)
class AppBar:
    """The title of a page, with the way back before it and actions after it."""

    id: str
    title: str
    on_back: Handler | None = None
    actions: tuple[Action, ...] = ()
    centred: bool = False
    height: float = APP_BAR_HEIGHT

    def place(self, left: float, top: float, width: float) -> Iterator[Placed]:
        middle = top + self.height / 2
        start = left + 20.0
        if self.on_back is not None:
            yield icon_button(left + 30, middle, f"{self.id}:back", "arrow_back", "Back", self.on_back)
            start = left + 62
        end = left + width - 12 - 52 * len(self.actions)
        if self.centred:
            side = max(start - left, left + width - end)
            rect = Rect(left + side, top, left + width - side, top + self.height)
        else:
            rect = Rect(start, top, end, top + self.height)
        align = "middle" if self.centred else "left"
        yield label(rect, f"{self.id}:bar", self.title, 24, weight="medium", align=align)
        for index, action in enumerate(self.actions):
            x = left + width - 34 - 52 * (len(self.actions) - 1 - index)
            colour = "primary" if action.accent else "text"
            disc = action.accent and action.disc
            yield icon_button(x, middle, action.id, action.icon, action.text, action.on_tap, colour=colour, disc=disc)


def tone(theme: Theme, hue: float) -> Colour:
    """A lively colour of a hue on which white can be read."""
    return oklch(0.55 if theme.dark else 0.60, 0.13, hue)


def hue_of(text: str) -> float:
    """A hue that belongs to a text for good."""
    return float(zlib.crc32(text.encode()) % 360)


def paint_avatar(canvas: Canvas, theme: Theme, x: float, y: float, radius: float, name: str) -> None:
    """A disc with the initial of a name."""
    canvas.circle(x, y, radius, tone(theme, hue_of(name)))
    canvas.text(x, y, name[:1].upper(), radius, (255, 255, 255), weight="medium", align="middle")


@dataclass(frozen=True, slots=True)
class Gap:
    """Nothing, of some height."""

    height: float

    def place(self, left: float, top: float, width: float) -> Iterator[Placed]:
        yield from ()


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text by itself."""

    id: str
    text: str
    size: float = 20.0
    colour: str = "text"
    weight: str = "regular"
    align: str = "middle"
    height: float = 48.0

    def place(self, left: float, top: float, width: float) -> Iterator[Placed]:
        rect = Rect(left + 24, top, left + width - 24, top + self.height)
        yield label(rect, self.id, self.text, self.size, colour=self.colour, weight=self.weight, align=self.align)


@dataclass(frozen=True, slots=True)
class Hero:
    """A person's large avatar with the name below."""

    id: str
    name: str
    height: float = 206.0

    def place(self, left: float, top: float, width: float) -> Iterator[Placed]:
        x = left + width / 2
        disc = Rect(x - 62, top + 8, x + 62, top + 132)
        yield Placed(disc, lambda canvas, theme: paint_avatar(canvas, theme, *disc.centre, 62, self.name))
        rect = Rect(left + 16, top + 138, left + width - 16, top + 194)
        yield label(rect, self.id, self.name, 30, align="middle")


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Text over several lines."""

    id: str
    text: str
    size: float = 21.0

    @property
    def lines(self) -> tuple[str, ...]:
        return wrap(self.text, self.size * LARGEST_FONT, "regular", WIDTH - 48)

    @property
    def height(self) -> float:
        return 32.0 * len(self.lines) + 16

    def place(self, left: float, top: float, width: float) -> Iterator[Placed]:
        lines = self.lines
        rect = Rect(left + 24, top, left + width - 24, top + self.height)

        def paint(canvas: Canvas, theme: Theme) -> None:
            for index, line in enumerate(lines):
                canvas.text(rect.left, rect.top + 8 + 32 * (index + 0.5), line, self.size, theme.text)

        yield Placed(rect, paint, Target(self.id, "text", self.text))
