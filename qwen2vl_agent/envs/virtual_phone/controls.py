"""Things to press and to type in: buttons, fields, tabs."""

from collections.abc import Iterator
from dataclasses import dataclass

from qwen2vl_agent.envs.virtual_phone.draw import Canvas, Rect, wrap
from qwen2vl_agent.envs.virtual_phone.lettering import text_width
from qwen2vl_agent.envs.virtual_phone.theme import Theme, mix
from qwen2vl_agent.envs.virtual_phone.widgets import TITLE_SIZE, Handler, Paint, Placed, Target


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
