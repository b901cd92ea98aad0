"""The windows of an X display, by what a window manager tells of them (EWMH)."""

from typing import Any


def list_windows(display: Any) -> list[dict[str, Any]]:
    """Each window's `id`, `title`, `class`, `pid`, `bounds` inside (left, top, right, bottom), `shown`, `active`.

    Bottom to top, as `_NET_CLIENT_LIST_STACKING` has them. One that is minimised, or that the window manager has not
    put on the screen yet, is not shown; it may be active already. `display` is Xlib's.
    """
    root = display.screen().root
    active = _numbers(display, root, "_NET_ACTIVE_WINDOW")
    found = (_window(display, number) for number in listed(display))
    return [{**window, "active": window["id"] in active} for window in found if window]


def listed(display: Any) -> list[int]:
    """The ids that the window manager lists, those of windows that are gone already and it has not noticed too."""
    return _numbers(display, display.screen().root, "_NET_CLIENT_LIST_STACKING")


def active_class(display: Any) -> str:
    """The class of the window that has the keyboard, as far as a window manager tells; else empty."""
    return next((window["class"] for window in list_windows(display) if window["active"]), "")


def selection_owner(display: Any, selection: str) -> int:
    """The window that owns `primary` or `clipboard`; 0 where none does."""
    owner = display.get_selection_owner(display.intern_atom(selection.upper()))
    return int(getattr(owner, "id", owner))


def _window(display: Any, number: int) -> dict[str, Any] | None:
    """None where it is gone already."""
    from Xlib import X
    from Xlib.error import BadDrawable, BadWindow

    window = display.create_resource_object("window", number)
    try:
        shape = window.get_geometry()
        corner = window.translate_coords(display.screen().root, 0, 0)
        left, top = -corner.x, -corner.y
        names = window.get_wm_class() or ("", "")
        return {
            "id": number,
            "title": _text(display, window),
            "class": ".".join(names),
            "pid": next(iter(_numbers(display, window, "_NET_WM_PID")), 0),
            "bounds": [left, top, left + shape.width, top + shape.height],
            "shown": window.get_attributes().map_state == X.IsViewable,
        }
    except (BadWindow, BadDrawable):
        return None


def _numbers(display: Any, window: Any, name: str) -> list[int]:
    from Xlib import X

    value = window.get_full_property(display.intern_atom(name), X.AnyPropertyType)
    return [int(number) for number in value.value] if value and value.format == 32 else []


def _text(display: Any, window: Any) -> str:
    from Xlib import X

    value = window.get_full_property(display.intern_atom("_NET_WM_NAME"), X.AnyPropertyType)
    if value:
        return bytes(value.value).decode("utf-8", "replace")
    name = window.get_wm_name() or ""
    return name if isinstance(name, str) else bytes(name).decode("latin-1")
