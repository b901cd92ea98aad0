"""The on-screen keyboard."""

from collections.abc import Iterator

from qwen2vl_agent.envs.virtual_phone import navigation
from qwen2vl_agent.envs.virtual_phone.draw import Canvas, Rect
from qwen2vl_agent.envs.virtual_phone.pages import build_scene
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.theme import Theme, mix
from qwen2vl_agent.envs.virtual_phone.widgets import Handler, Placed, Target

KEY_HEIGHT = 58.0
HEIGHT = 4 * KEY_HEIGHT + 12
ROWS = {
    "lower": ("qwertyuiop", "asdfghjkl", "zxcvbnm"),
    "upper": ("QWERTYUIOP", "ASDFGHJKL", "ZXCVBNM"),
    "symbols": ("1234567890", "@#$_&-+()", "*\"':;!?"),
}
KEYS_ACROSS = 10
WIDE = 1.5
"""Widths of a letter that a key with a word or a sign has."""


def place(layer: str, top: float, width: float, *, mirrored: bool = False) -> Iterator[Placed]:
    """The keyboard's keys, its upper edge at `top`; `mirrored` letters keep their order on a mirrored screen."""
    area = Rect(0, top, width, top + HEIGHT)
    each = width / KEYS_ACROSS

    def paint(canvas: Canvas, theme: Theme) -> None:
        canvas.fill(area, theme.surface if theme.dark else mix(theme.background, theme.surface_high, 0.5))

    yield Placed(area, paint, Target("keyboard:surface", "image", "", blocks=True, listed=False))
    for index, letters in enumerate(ROWS[layer]):
        left = (width - each * len(letters)) / 2
        row_top = top + 6 + index * KEY_HEIGHT
        for position, letter in enumerate(reversed(letters) if mirrored else letters):
            spot = left + position * each
            yield _letter(Rect(spot, row_top, spot + each, row_top + KEY_HEIGHT), letter)
    yield from _special_keys(layer, top + 6 + 2 * KEY_HEIGHT, width)


def _special_keys(layer: str, top: float, width: float) -> Iterator[Placed]:
    middle, bottom = top + KEY_HEIGHT, top + 2 * KEY_HEIGHT
    each, wide = width / KEYS_ACROSS, WIDE * width / KEYS_ACROSS
    left = Rect(0, top, wide, middle)
    if layer == "symbols":
        yield _word(left, "more", "=\\<", lambda state: None)
    else:
        shifted = layer == "upper"
        yield _special(left, "shift", "arrow_upward", "Shift", _set_layer("lower" if shifted else "upper"), lit=shifted)
    yield _special(Rect(width - wide, top, width, middle), "delete", "backspace", "Delete", _delete)
    name, next_layer = ("ABC", "lower") if layer == "symbols" else ("?123", "symbols")
    yield _word(Rect(0, middle, wide, bottom), "layer", name, _set_layer(next_layer))
    yield _letter(Rect(wide, middle, wide + each, bottom), ",")
    yield _space(Rect(wide + each, middle, width - wide - each, bottom))
    yield _letter(Rect(width - wide - each, middle, width - wide, bottom), ".")
    enter = Rect(width - wide, middle, width, bottom)
    yield _special(enter, "enter", "keyboard_return", "Enter", press_enter, lit=True)


def press_enter(state: PhoneState) -> None:
    """The enter key: what the page's field does with it, by default to put the keyboard away."""
    scene = build_scene(state)
    if state.page.focus in scene.multiline:
        navigation.insert_text(state, "\n")
    elif scene.on_enter is not None:
        scene.on_enter(state)
    else:
        navigation.hide_keyboard(state)


def _delete(state: PhoneState) -> None:
    navigation.delete_letter(state)


def _type(letter: str) -> Handler:
    def on_tap(state: PhoneState) -> None:
        navigation.insert_text(state, letter)
        if state.keyboard.layer == "upper":
            state.keyboard.layer = "lower"

    return on_tap


def _set_layer(layer: str) -> Handler:
    def on_tap(state: PhoneState) -> None:
        state.keyboard.layer = layer

    return on_tap


def _letter(rect: Rect, letter: str) -> Placed:
    return _key(rect, letter.lower(), letter, _type(letter), letter, 23)


def _word(rect: Rect, name: str, word: str, on_tap: Handler) -> Placed:
    return _key(rect, name, word, on_tap, word, 17, quiet=True)


def _space(rect: Rect) -> Placed:
    return _key(rect, "space", "Space", _type(" "), "", 16)


def _key(rect: Rect, name: str, text: str, on_tap: Handler, face: str, size: float, *, quiet: bool = False) -> Placed:
    def paint(canvas: Canvas, theme: Theme) -> None:
        face_colour = theme.surface if not theme.dark else theme.surface_high
        canvas.round(rect.inset(2.5, 4), 8, mix(face_colour, theme.container, 0.4) if quiet else face_colour)
        canvas.text(*rect.centre, face, size, theme.text, align="middle")

    return Placed(rect, paint, Target(f"keyboard:{name}", "key", text, on_tap))


def _special(rect: Rect, name: str, icon: str, text: str, on_tap: Handler, *, lit: bool = False) -> Placed:
    def paint(canvas: Canvas, theme: Theme) -> None:
        canvas.round(rect.inset(2.5, 4), 8, theme.container if lit else mix(theme.surface_high, theme.container, 0.4))
        canvas.icon(*rect.centre, icon, 25, theme.on_container if lit else theme.text)

    return Placed(rect, paint, Target(f"keyboard:{name}", "key", text, on_tap))
