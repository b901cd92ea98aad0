"""Lines of lists: a row, a stepper, and how several are grouped."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from qwen2vl_agent.envs.virtual_phone.draw import Canvas, Rect
from qwen2vl_agent.envs.virtual_phone.lettering import text_width
from qwen2vl_agent.envs.virtual_phone.theme import LARGEST_FONT, Theme
from qwen2vl_agent.envs.virtual_phone.widgets import (
    CARD_GAP,
    CARD_MARGIN,
    CARD_RADIUS,
    DETAIL_SIZE,
    INNER_RADIUS,
    ROW_HEIGHT,
    TALL_ROW_HEIGHT,
    TITLE_SIZE,
    Action,
    Handler,
    Placed,
    Target,
    Widget,
    icon_button,
    label,
    paint_avatar,
    tone,
)


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
        paint_card(canvas, theme, rect, self.card)
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


def paint_card(canvas: Canvas, theme: Theme, rect: Rect, place: str) -> None:
    """The surface of a line that is part of a group of cards (see `Row.card`); nothing in a flat list."""
    if place:
        above = CARD_RADIUS if place in ("only", "first") else INNER_RADIUS
        below = CARD_RADIUS if place in ("only", "last") else INNER_RADIUS
        canvas.round(rect, above, theme.surface, below)


def grouped(lines: "Sequence[Row | Stepper]", *, cards: bool) -> list[Widget]:
    """The lines of one list, drawn as one group of cards or flat."""
    if not cards:
        return list(lines)
    last = len(lines) - 1
    places = ["only"] if last == 0 else ["first", *["middle"] * (last - 1), "last"]
    return [replace(line, card=place) for line, place in zip(lines, places, strict=False)]


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
        paint_card(canvas, theme, rect, self.card)
        width = rect.width - 170
        canvas.text(rect.left + 22, rect.top + 32, self.title, TITLE_SIZE, theme.text, max_width=width)
        bar = Rect(rect.left + 22, rect.bottom - 24, rect.left + 22 + width, rect.bottom - 16)
        canvas.round(bar, 4, theme.surface_high)
        if self.value:
            share = bar.width * self.value / self.limit
            canvas.round(Rect(bar.left, bar.top, bar.left + share, bar.bottom), 4, theme.primary)
        for x in (rect.right - 122, rect.right - 34):
            canvas.circle(x, rect.centre[1], 22, theme.surface_high)
