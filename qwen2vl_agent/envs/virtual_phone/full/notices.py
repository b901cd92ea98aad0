"""Notifications, below the quick settings: a tap opens the app, a swipe aside dismisses one, a button all."""

from collections.abc import Iterator

from qwen2vl_agent.envs.virtual_phone import navigation
from qwen2vl_agent.envs.virtual_phone.app_list import APP_BY_ID
from qwen2vl_agent.envs.virtual_phone.draw import Canvas, Rect
from qwen2vl_agent.envs.virtual_phone.full.content import Notice
from qwen2vl_agent.envs.virtual_phone.locales import Translate
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.system_ui import SHADE_DP, WHITE
from qwen2vl_agent.envs.virtual_phone.theme import Theme
from qwen2vl_agent.envs.virtual_phone.widgets import Handler, Paint, Placed, Target, label, tone

TOP = SHADE_DP + 10
ROW_DP = 76.0
DISMISS_DP = 80.0
"""A finger that moves this far aside takes a notification along."""


def place(state: PhoneState, screen: Rect, say: Translate) -> Iterator[Placed]:
    """The notifications, as many as fit, and the button that clears them."""
    top = TOP
    for notice in state.extra.notices:
        yield from _row(Rect(12, top, screen.right - 12, top + ROW_DP - 6), notice)
        top += ROW_DP
    if state.extra.notices:
        rect = Rect(screen.right - 132, top, screen.right - 16, top + 48)
        clear = say("Clear all")
        yield Placed(rect, _clear_painter(rect, clear), Target("shade:clear", "button", clear, _clear))
    else:
        box = Rect(24, top, screen.right - 24, top + 60)
        yield label(box, "shade:none", say("No notifications"), 20, colour=WHITE, align="middle")


def _row(rect: Rect, notice: Notice) -> Iterator[Placed]:
    app = APP_BY_ID[notice.app]

    def paint(canvas: Canvas, theme: Theme) -> None:
        canvas.round(rect, 20, theme.surface)
        canvas.circle(rect.left + 34, rect.centre[1], 20, tone(theme, app.hue))
        canvas.icon(rect.left + 34, rect.centre[1], app.icon, 24, WHITE)
        canvas.text(
            rect.left + 66, rect.top + 23, notice.title, 20, theme.text, weight="medium", max_width=rect.width - 78
        )

    def aside(state: PhoneState, dx: float, dy: float) -> None:
        if abs(dx) > max(DISMISS_DP, abs(dy)):
            _remove(state, notice.title)

    id = f"shade:notice.{notice.title}"
    yield Placed(rect, paint, Target(id, "row", notice.title, _opener(notice), on_drag=aside))
    line = Rect(rect.left + 66, rect.bottom - 32, rect.right - 14, rect.bottom - 8)
    yield label(line, f"{id}.detail", notice.text, 16.5, colour="secondary_text")


def _clear_painter(rect: Rect, text: str) -> Paint:
    def paint(canvas: Canvas, theme: Theme) -> None:
        canvas.round(rect, 24, theme.container)
        canvas.text(*rect.centre, text, 18, theme.on_container, weight="medium", align="middle")

    return paint


def _opener(notice: Notice) -> Handler:
    def on_tap(state: PhoneState) -> None:
        _remove(state, notice.title)
        navigation.launch(state, notice.app)

    return on_tap


def _remove(state: PhoneState, title: str) -> None:
    state.extra.notices = [notice for notice in state.extra.notices if notice.title != title]


def _clear(state: PhoneState) -> None:
    state.extra.notices = []
    state.shade_open = False
