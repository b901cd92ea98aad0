"""Puts a scene's parts at their places on the screen, back to front."""

from dataclasses import dataclass, replace
from typing import NamedTuple

from qwen2vl_agent.envs.virtual_phone import keyboard, system_ui
from qwen2vl_agent.envs.virtual_phone.app_list import is_full
from qwen2vl_agent.envs.virtual_phone.draw import Canvas, Rect
from qwen2vl_agent.envs.virtual_phone.full import notices
from qwen2vl_agent.envs.virtual_phone.locales import Translate, locale_of, spoken, translator
from qwen2vl_agent.envs.virtual_phone.scene import Scene
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.theme import Theme
from qwen2vl_agent.envs.virtual_phone.widgets import Paint, Placed, Target, Widget

FAB_ROOM = 100.0
"""Free height at the end of a list under a floating button, so that its last row can be reached."""
NAMED_BY_WIDGETS = ("button", "icon", "image", "key", "switch")
"""Roles of parts whose name may be the widget's own word, such as `Back`. Lines of text may be part of what the owner
wrote, and are said before they are cut."""


class Part(NamedTuple):
    """A placed part and the area outside of which it cannot be seen or touched."""

    placed: Placed
    clip: Rect


@dataclass(frozen=True, slots=True)
class Arrangement:
    """Everything on the screen, back to front."""

    parts: list[Part]
    body: Rect
    """Where the list shows."""
    scroll: float
    """How far the list is scrolled, in dp."""
    max_scroll: float


def arrange(scene: Scene, state: PhoneState, screen: Rect) -> Arrangement:
    """The places of all that a scene and the system show on a screen, in dp."""
    say = translator(state)
    scene = spoken(scene, say) if locale_of(state.edition) else scene
    bottom = screen.bottom - system_ui.NAV_BAR_HEIGHT
    keyboard_top = bottom - keyboard.HEIGHT if state.keyboard.visible else bottom
    body_top = system_ui.STATUS_BAR_HEIGHT + sum(widget.height for widget in scene.header)
    body_bottom = keyboard_top - sum(widget.height for widget in scene.footer)
    body = screen._replace(top=body_top, bottom=max(body_top, body_bottom))
    shows_fab = scene.fab is not None and not state.keyboard.visible
    content = sum(widget.height for widget in scene.body) + (FAB_ROOM if shows_fab else 8.0)
    max_scroll = max(0.0, content - body.height)
    scroll = state.page.scroll.get("body", max_scroll if scene.from_end else 0.0)
    scroll = min(max(scroll, 0.0), max_scroll)

    parts = _list(scene, body, scroll, max_scroll)
    if not scene.over_wallpaper:
        parts.append(_cover(screen._replace(bottom=body.top), screen))
        parts.append(_cover(screen._replace(top=body.bottom), screen))
    parts += _column(scene.header, system_ui.STATUS_BAR_HEIGHT, screen)
    parts += _column(scene.footer, body.bottom, screen)
    if shows_fab and scene.fab is not None:
        room = system_ui.TOAST_HEIGHT if state.toast else 0
        parts.append(Part(scene.fab.placed(body._replace(bottom=body.bottom - room)), screen))
    if state.toast:
        parts += [Part(placed, screen) for placed in system_ui.toast(say(state.toast), body)]
    if state.keyboard.visible:
        keys = keyboard.place(state.keyboard.layer, keyboard_top, screen.width, mirrored=state.extra.mirrored)
        parts += [Part(placed, screen) for placed in keys]
    bright = scene.over_wallpaper
    parts += [Part(placed, screen) for placed in system_ui.status_bar(state, screen, over_wallpaper=bright)]
    if scene.overlay is not None:
        parts += [Part(placed, screen) for placed in scene.overlay.placed(screen)]
    if state.shade_open:
        parts += [Part(placed, screen) for placed in system_ui.shade(state, screen, say)]
        if is_full(state.edition):
            parts += [Part(placed, screen) for placed in notices.place(state, screen, say)]
    parts += [Part(placed, screen) for placed in system_ui.navigation_bar(screen, over_wallpaper=bright)]
    named = [_named(part, say) for part in parts] if locale_of(state.edition) else parts
    return Arrangement(named, body, scroll, max_scroll)


def _named(part: Part, say: Translate) -> Part:
    """A part whose target has its name in the phone's language, where a widget named it itself."""
    target = part.placed.target
    if target is None or target.role not in NAMED_BY_WIDGETS:
        return part
    return part._replace(placed=replace(part.placed, target=replace(target, text=say(target.text))))


def _list(scene: Scene, body: Rect, scroll: float, max_scroll: float) -> list[Part]:
    parts = []
    if scene.list_id:
        target = Target(scene.list_id, "list", "", scrollable=max_scroll > 0)
        parts.append(Part(Placed(body, None, target), body))
    return parts + _column(scene.body, body.top - scroll, body)


def _column(widgets: list[Widget], top: float, clip: Rect) -> list[Part]:
    """Widgets one below the other; those that cannot be seen are left out."""
    parts = []
    for widget in widgets:
        bottom = top + widget.height
        if bottom > clip.top and top < clip.bottom:
            parts += [Part(placed, clip) for placed in widget.place(0, top, clip.width)]
        top = bottom
    return parts


def _cover(rect: Rect, clip: Rect) -> Part:
    def paint(canvas: Canvas, theme: Theme) -> None:
        canvas.fill(rect, theme.background)

    painter: Paint = paint
    return Part(Placed(rect, painter), clip)
