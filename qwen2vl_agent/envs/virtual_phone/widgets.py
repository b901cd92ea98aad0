"""The parts that pages are made of. A widget knows its height and, given its place, what to paint and what to touch."""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from qwen2vl_agent.envs.virtual_phone.draw import Canvas, Rect, text_width, wrap
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.theme import LARGEST_FONT, Colour, Theme, mix, oklch

Handler = Callable[[PhoneState], None]
Paint = Callable[[Canvas, Theme], None]

WIDTH = 360.0
"""Width of every phone in dp."""
TITLE_SIZE = 21.0
DETAIL_SIZE = 16.5
APP_BAR_HEIGHT = 64.0
ROW_HEIGHT = 68.0
TALL_ROW_HEIGHT = 78.0
CARD_MARGIN = 12.0
CARD_GAP = 2.0
CARD_RADIUS = 22.0


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


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a list: a title, perhaps something before it, below it and after it."""

    id: str
    title: str
    detail: str = ""
    on_tap: Handler | None = None
    on_hold: Handler | None = None
    icon: str = ""
    icon_hue: float | None = None
    """Hue of a disc behind the icon; None for a plain icon."""
    avatar: str = ""
    """Letters on a coloured disc, in place of an icon."""
    control: str = ""
    """`switch`, `radio` or `checkbox` where the row as a whole is one."""
    checked: bool = False
    trailing: str = ""
    action: Action | None = None
    switch: tuple[str, bool, Handler] | None = None
    """A switch of its own at the end: id, state, handler."""
    large: bool = False
    bold: bool = False
    card: str = ""
    """`only`, `first`, `middle` or `last` of a group of cards; empty for a flat list."""

    @property
    def height(self) -> float:
        tall = TALL_ROW_HEIGHT + (8 if self.large else 0) if self.detail else ROW_HEIGHT
        return tall + (CARD_GAP if self.card else 0)

    def place(self, left: float, top: float, width: float) -> Iterator[Placed]:
        margin = CARD_MARGIN if self.card else 0.0
        height = self.height - (CARD_GAP if self.card else 0)
        rect = Rect(left + margin, top, left + width - margin, top + height)
        role = self.control or ("row" if self.on_tap or self.on_hold else "text")
        checked = self.checked if self.control else None
        target = Target(self.id, role, self.title, self.on_tap, self.on_hold, checked)
        yield Placed(rect, lambda canvas, theme: self._paint(canvas, theme, rect), target)
        start, end = self._text_span(rect)
        if self.detail:
            line = Rect(start, rect.bottom - 36, end, rect.bottom - 10)
            yield label(line, f"{self.id}.detail", self.detail, DETAIL_SIZE, colour="secondary_text")
        yield from self._after(rect)

    def _after(self, rect: Rect) -> Iterator[Placed]:
        middle = rect.centre[1]
        if self.trailing:
            box = Rect(rect.right - 18 - _trailing_width(self.trailing), rect.top, rect.right - 18, rect.bottom)
            yield label(box, f"{self.id}.value", self.trailing, 17, colour="secondary_text", align="right")
        if self.action is not None:
            colour = "primary" if self.action.accent else "secondary_text"
            action = self.action
            disc, x = action.accent and action.disc, rect.right - 34
            yield icon_button(x, middle, action.id, action.icon, action.text, action.on_tap, colour=colour, disc=disc)
        if self.switch is not None:
            id, checked, on_tap = self.switch
            spot = Rect(rect.right - 80, middle - 26, rect.right - 4, middle + 26)
            yield Placed(
                spot,
                lambda canvas, theme: paint_switch(canvas, theme, rect.right - 46, middle, checked),
                Target(id, "switch", self.title, on_tap, checked=checked),
            )

    def _text_span(self, rect: Rect) -> tuple[float, float]:
        start = rect.left + (70 if self.icon or self.avatar else 22)
        end = rect.right - 18
        if self.control == "switch" or self.switch is not None:
            end = rect.right - 84
        elif self.control or self.action is not None:
            end = rect.right - 60
        elif self.trailing:
            end -= _trailing_width(self.trailing) + 12
        return start, end

    def _paint(self, canvas: Canvas, theme: Theme, rect: Rect) -> None:
        if self.card:
            above = CARD_RADIUS if self.card in ("only", "first") else 5
            below = CARD_RADIUS if self.card in ("only", "last") else 5
            canvas.round(rect, above, theme.surface, below)
        start, end = self._text_span(rect)
        middle = rect.centre[1]
        self._paint_leading(canvas, theme, rect.left + 37, middle)
        size = 32 if self.large else TITLE_SIZE
        title_middle = rect.top + (31 if self.large else 27) if self.detail else middle
        weight = "medium" if self.bold else "regular"
        canvas.text(start, title_middle, self.title, size, theme.text, weight=weight, max_width=end - start)
        if self.control == "switch":
            paint_switch(canvas, theme, rect.right - 46, middle, self.checked)
        elif self.control == "radio":
            name = "radio_button_checked" if self.checked else "radio_button_unchecked"
            canvas.icon(rect.right - 36, middle, name, 28, theme.primary if self.checked else theme.secondary_text)
        elif self.control == "checkbox":
            name = "check_box" if self.checked else "check_box_outline_blank"
            canvas.icon(rect.right - 36, middle, name, 28, theme.primary if self.checked else theme.secondary_text)

    def _paint_leading(self, canvas: Canvas, theme: Theme, x: float, y: float) -> None:
        if self.avatar:
            paint_avatar(canvas, theme, x, y, 22, self.avatar)
        elif self.icon and self.icon_hue is not None:
            canvas.circle(x, y, 22, tone(theme, self.icon_hue))
            canvas.icon(x, y, self.icon, 26, (255, 255, 255))
        elif self.icon:
            canvas.icon(x, y, self.icon, 28, theme.secondary_text)


def _trailing_width(text: str) -> float:
    return text_width(text, 17) * LARGEST_FONT + 2


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


def paint_switch(canvas: Canvas, theme: Theme, x: float, y: float, checked: bool) -> None:
    """A switch of 56 by 34 dp around a point."""
    track = Rect(x - 28, y - 17, x + 28, y + 17)
    if checked:
        canvas.round(track, 17, theme.primary)
        canvas.circle(x + 11, y, 13, theme.on_primary)
        canvas.icon(x + 11, y, "check", 18, theme.primary)
    else:
        canvas.ring(track, 17, 2.2, theme.outline, theme.surface_high)
        canvas.circle(x - 11, y, 9, theme.outline)


def grouped(rows: list[Row], *, cards: bool) -> list[Widget]:
    """Rows of one list, drawn as one group of cards or flat."""
    if not cards:
        return list(rows)
    last = len(rows) - 1
    places = ["only"] if last == 0 else ["first", *["middle"] * (last - 1), "last"]
    return [replace(row, card=place) for row, place in zip(rows, places, strict=False)]


@dataclass(frozen=True, slots=True)
class Gap:
    """Nothing, of some height."""

    height: float

    def place(self, left: float, top: float, width: float) -> Iterator[Placed]:
        yield from ()


@dataclass(frozen=True, slots=True)
class Heading:
    """A small title over a part of a list."""

    id: str
    title: str
    height: float = 46.0

    def place(self, left: float, top: float, width: float) -> Iterator[Placed]:
        rect = Rect(left + 24, top + 6, left + width - 24, top + self.height)
        yield label(rect, self.id, self.title, 18, colour="primary", weight="medium")


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
class Buttons:
    """One button or several side by side."""

    buttons: tuple["Button", ...]
    height: float = 76.0

    def place(self, left: float, top: float, width: float) -> Iterator[Placed]:
        count = len(self.buttons)
        each = (width - 32 - 12 * (count - 1)) / count
        for index, button in enumerate(self.buttons):
            start = left + 16 + index * (each + 12)
            yield button.placed(Rect(start, top + 9, start + each, top + self.height - 9))


@dataclass(frozen=True, slots=True)
class Button:
    """A word to tap on a pill: `filled`, `tonal`, `plain` or `danger`."""

    id: str
    text: str
    on_tap: Handler
    style: str = "filled"
    icon: str = ""

    def placed(self, rect: Rect) -> Placed:
        """The button filling a rectangle."""
        return Placed(
            rect,
            lambda canvas, theme: self._paint(canvas, theme, rect),
            Target(self.id, "button", self.text, self.on_tap),
        )

    def _paint(self, canvas: Canvas, theme: Theme, rect: Rect) -> None:
        fill, ink = {
            "filled": (theme.primary, theme.on_primary),
            "tonal": (theme.container, theme.on_container),
            "danger": (theme.error, theme.on_error),
            "plain": (None, theme.primary),
        }[self.style]
        if fill is not None:
            canvas.round(rect, rect.height / 2, fill)
        x, y = rect.centre
        if self.icon:
            half = (text_width(self.text, 20, "medium") + 34) / 2
            canvas.icon(x - half + 13, y, self.icon, 26, ink)
            canvas.text(x - half + 34, y, self.text, 20, ink, weight="medium", max_width=rect.width - 60)
        else:
            canvas.text(x, y, self.text, 20, ink, weight="medium", align="middle", max_width=rect.width - 16)


@dataclass(frozen=True, slots=True)
class Field:
    """A place to type in: a box with its label on the border, or a pill for search."""

    id: str
    label: str
    value: str
    on_tap: Handler
    focused: bool = False
    pill: bool = False
    lines: int = 1
    icon: str = ""

    @property
    def height(self) -> float:
        return 64.0 if self.pill else 84.0 + 28 * (self.lines - 1)

    def place(self, left: float, top: float, width: float) -> Iterator[Placed]:
        rect = Rect(
            left + 16, top + (6 if self.pill else 12), left + width - 16, top + self.height - (6 if self.pill else 8)
        )
        target = Target(self.id, "field", self.value or self.label, self.on_tap, focused=self.focused)
        yield Placed(rect, lambda canvas, theme: self._paint(canvas, theme, rect), target)

    def _paint(self, canvas: Canvas, theme: Theme, rect: Rect) -> None:
        if self.pill:
            canvas.round(rect, rect.height / 2, theme.surface_high)
        else:
            edge = theme.primary if self.focused else theme.outline
            canvas.ring(rect, 10, 2.5 if self.focused else 1.5, edge, theme.surface)
        start = rect.left + (54 if self.icon else 20)
        if self.icon:
            canvas.icon(rect.left + 30, rect.centre[1], self.icon, 26, theme.secondary_text)
        if not self.pill and self.value:
            self._paint_label(canvas, theme, rect)
        self._paint_value(canvas, theme, Rect(start, rect.top, rect.right - 20, rect.bottom))

    def _paint_label(self, canvas: Canvas, theme: Theme, rect: Rect) -> None:
        width = text_width(self.label, 15) * canvas.font_scale
        canvas.fill(Rect(rect.left + 15, rect.top - 2, rect.left + 23 + width, rect.top + 4), theme.surface)
        ink = theme.primary if self.focused else theme.secondary_text
        canvas.text(rect.left + 19, rect.top + 1, self.label, 15, ink)

    def _paint_value(self, canvas: Canvas, theme: Theme, box: Rect) -> None:
        size = TITLE_SIZE * canvas.font_scale
        if not self.value:
            y = box.centre[1] if self.lines == 1 else box.top + 30
            canvas.text(box.left, y, self.label, TITLE_SIZE, theme.secondary_text, max_width=box.width)
            lines: tuple[str, ...] = ("",)
        else:
            lines = wrap(self.value, size, "regular", box.width)[-self.lines :]
        y = box.centre[1] if self.lines == 1 else box.top + 30
        for index, line in enumerate(lines):
            canvas.text(box.left, y + 28 * index, line, TITLE_SIZE, theme.text)
        if self.focused:
            x = box.left + text_width(lines[-1], size) + 2
            bottom = y + 28 * (len(lines) - 1)
            canvas.fill(Rect(x, bottom - 14, x + 2.4, bottom + 14), theme.primary)


@dataclass(frozen=True, slots=True)
class Stepper:
    """A number from 0 to a limit between a minus and a plus."""

    id: str
    title: str
    value: int
    limit: int
    on_less: Handler
    on_more: Handler
    card: str = ""
    height: float = 84.0

    def place(self, left: float, top: float, width: float) -> Iterator[Placed]:
        margin = CARD_MARGIN if self.card else 0.0
        rect = Rect(left + margin, top, left + width - margin, top + self.height - (CARD_GAP if self.card else 0))
        target = Target(self.id, "text", self.title)
        yield Placed(rect, lambda canvas, theme: self._paint(canvas, theme, rect), target)
        y, right = rect.centre[1], rect.right
        yield icon_button(right - 122, y, f"{self.id}.less", "remove", f"Lower {self.title}", self.on_less)
        yield label(
            Rect(right - 98, rect.top, right - 58, rect.bottom),
            f"{self.id}.value", str(self.value), 22, colour="primary", weight="medium", align="middle",
        )  # fmt: skip
        yield icon_button(right - 34, y, f"{self.id}.more", "add", f"Raise {self.title}", self.on_more)

    def _paint(self, canvas: Canvas, theme: Theme, rect: Rect) -> None:
        if self.card:
            canvas.round(rect, 5, theme.surface)
        width = rect.width - 170
        canvas.text(rect.left + 22, rect.top + 32, self.title, TITLE_SIZE, theme.text, max_width=width)
        bar = Rect(rect.left + 22, rect.bottom - 24, rect.left + 22 + width, rect.bottom - 16)
        canvas.round(bar, 4, theme.surface_high)
        if self.value:
            share = bar.width * self.value / self.limit
            canvas.round(Rect(bar.left, bar.top, bar.left + share, bar.bottom), 4, theme.primary)
        for x in (rect.right - 122, rect.right - 34):
            canvas.circle(x, rect.centre[1], 22, theme.surface_high)


@dataclass(frozen=True, slots=True)
class Fab:
    """The floating button of a page's main act."""

    id: str
    icon: str
    text: str
    on_tap: Handler
    left: bool = False

    def placed(self, area: Rect) -> Placed:
        """The button in the lower corner of an area."""
        x = area.left + 50 if self.left else area.right - 50
        y = area.bottom - 48
        rect = Rect(x - 32, y - 32, x + 32, y + 32)

        def paint(canvas: Canvas, theme: Theme) -> None:
            shadow = mix(theme.background, (0, 0, 0), 0.18)
            canvas.round(Rect(rect.left - 1, rect.top + 1, rect.right + 1, rect.bottom + 3), 20, shadow)
            canvas.round(rect, 20, theme.container)
            canvas.icon(x, y, self.icon, 32, theme.on_container)

        return Placed(rect, paint, Target(self.id, "button", self.text, self.on_tap))


@dataclass(frozen=True, slots=True)
class Tabs:
    """A bar of pages at the bottom, each with its icon and word."""

    tabs: tuple[tuple[str, str, str, bool, Handler], ...]
    """Id, icon, text, whether chosen, handler."""
    height: float = 84.0

    def place(self, left: float, top: float, width: float) -> Iterator[Placed]:
        each = width / len(self.tabs)
        for index, tab in enumerate(self.tabs):
            rect = Rect(left + index * each, top, left + (index + 1) * each, top + self.height)
            id, _, text, chosen, on_tap = tab
            yield Placed(rect, self._painter(tab, rect), Target(id, "tab", text, on_tap, checked=chosen))

    @staticmethod
    def _painter(tab: tuple[str, str, str, bool, Handler], rect: Rect) -> Paint:
        _, icon, text, chosen, _ = tab
        x = rect.centre[0]

        def paint(canvas: Canvas, theme: Theme) -> None:
            if chosen:
                canvas.round(Rect(x - 34, rect.top + 9, x + 34, rect.top + 45), 18, theme.container)
            canvas.icon(x, rect.top + 27, icon, 26, theme.on_container if chosen else theme.secondary_text)
            ink = theme.text if chosen else theme.secondary_text
            weight = "medium" if chosen else "regular"
            canvas.text(x, rect.top + 62, text, 16.5, ink, weight=weight, align="middle", max_width=rect.width - 4)

        return paint


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
