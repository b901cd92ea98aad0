"""A page as a list of widgets, and the dialogs that may lie over it."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from qwen2vl_agent.envs.virtual_phone import navigation
from qwen2vl_agent.envs.virtual_phone.controls import Button, Fab
from qwen2vl_agent.envs.virtual_phone.draw import Canvas, Rect, wrap
from qwen2vl_agent.envs.virtual_phone.theme import LARGEST_FONT, Theme
from qwen2vl_agent.envs.virtual_phone.widgets import Handler, Paint, Placed, Target, Widget, label


@dataclass(slots=True)
class Scene:
    """What a page shows; it is made anew from the state after every event."""

    header: list[Widget] = field(default_factory=list)
    """Stays at the top."""
    body: list[Widget] = field(default_factory=list)
    """Scrolls."""
    footer: list[Widget] = field(default_factory=list)
    """Stays at the bottom, above the keyboard."""
    fab: Fab | None = None
    overlay: "Dialog | Menu | None" = None
    list_id: str = ""
    """Resource id of the body."""
    from_end: bool = False
    """Whether the body begins at its end, as a conversation does."""
    over_wallpaper: bool = False
    backdrop: Paint | None = None
    """Painted behind everything, in place of the theme's background."""
    on_enter: Handler | None = None
    """What the enter key does in a field; by default it puts the keyboard away."""
    multiline: tuple[str, ...] = ()
    """Fields in which the enter key begins a new line."""
    on_menu: Handler | None = None
    """What the menu key does."""
    on_swipe_up: Handler | None = None
    on_swipe_down: Handler | None = None
    on_swipe_left: Handler | None = None
    on_swipe_right: Handler | None = None


@dataclass(frozen=True, slots=True)
class Dialog:
    """A question with its answers; a tap beside it closes it."""

    id: str
    title: str
    text: str
    buttons: tuple[Button, ...]

    def placed(self, area: Rect) -> Iterator[Placed]:
        """The dialog in the middle of the screen, over a dimmed page."""
        lines = wrap(self.text, 19 * LARGEST_FONT, "regular", 264) if self.text else ()
        height = 84 + 27 * len(lines) + 20 + 64
        x, y = area.centre
        rect = Rect(x - 156, y - height / 2, x + 156, y + height / 2)
        inner = rect.inset(24, 0)
        yield Placed(area, _dim, Target(f"{self.id}.scrim", "image", "", navigation.close_dialog, listed=False))
        yield _surface(self.id, rect, 28)
        title = inner._replace(top=rect.top + 16, bottom=rect.top + 72)
        yield label(title, f"{self.id}.title", self.title, 24, weight="medium")
        for index, line in enumerate(lines):
            top = rect.top + 74 + 27 * index
            box = inner._replace(top=top, bottom=top + 27)
            yield label(box, f"{self.id}.text", line, 19, colour="secondary_text")
        each = 280 / len(self.buttons)
        for index, button in enumerate(self.buttons):
            left = x - 140 + index * each
            yield button.placed(Rect(left + 4, rect.bottom - 72, left + each - 4, rect.bottom - 16))


@dataclass(frozen=True, slots=True)
class Menu:
    """The list behind the three dots of an app bar."""

    id: str
    entries: tuple[tuple[str, str, Handler], ...]
    """Id, text, handler."""

    def placed(self, area: Rect) -> Iterator[Placed]:
        """The menu in the upper right corner."""
        rect = Rect(area.right - 220, 42, area.right - 12, 42 + 16 + 60 * len(self.entries))
        yield Placed(area, None, Target(f"{self.id}.scrim", "image", "", navigation.close_dialog, listed=False))
        yield _surface(self.id, rect, 14, high=True)
        for index, (id, text, on_tap) in enumerate(self.entries):
            top = rect.top + 8 + 60 * index
            yield _entry(Rect(rect.left, top, rect.right, top + 60), id, text, on_tap)


def _entry(rect: Rect, id: str, text: str, on_tap: Handler) -> Placed:
    def paint(canvas: Canvas, theme: Theme) -> None:
        canvas.text(rect.left + 20, rect.centre[1], text, 21, theme.text, max_width=rect.width - 32)

    return Placed(rect, paint, Target(id, "row", text, on_tap))


def _dim(canvas: Canvas, theme: Theme) -> None:
    canvas.shade(0.5)


def _surface(id: str, rect: Rect, radius: float, *, high: bool = False) -> Placed:
    def paint(canvas: Canvas, theme: Theme) -> None:
        canvas.round(rect, radius, theme.surface_high if high else theme.surface)

    return Placed(rect, paint, Target(f"{id}.surface", "image", "", blocks=True, listed=False))
