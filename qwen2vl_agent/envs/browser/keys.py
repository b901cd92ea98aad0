"""Names of keys: what agents write, and what Playwright calls it."""

from qwen2vl_agent.envs.chords import chord_of
from qwen2vl_agent.schema.errors import ActionRejected

NAMES = {
    "ctrl": "Control", "control": "Control", "alt": "Alt", "option": "Alt", "shift": "Shift",
    "meta": "Meta", "win": "Meta", "super": "Meta", "cmd": "Meta", "command": "Meta",
    "enter": "Enter", "return": "Enter", "esc": "Escape", "escape": "Escape", "tab": "Tab", "space": " ",
    "backspace": "Backspace", "delete": "Delete", "del": "Delete", "insert": "Insert",
    "up": "ArrowUp", "down": "ArrowDown", "left": "ArrowLeft", "right": "ArrowRight",
    "arrowup": "ArrowUp", "arrowdown": "ArrowDown", "arrowleft": "ArrowLeft", "arrowright": "ArrowRight",
    "home": "Home", "end": "End", "pageup": "PageUp", "page_up": "PageUp", "pgup": "PageUp",
    "pagedown": "PageDown", "page_down": "PageDown", "pgdn": "PageDown", "plus": "+", "minus": "-",
    **{f"f{number}": f"F{number}" for number in range(1, 13)},
}  # fmt: skip

EXAMPLES = "enter, escape, tab, space, backspace, delete, up, home, pagedown, f5, ctrl, alt, shift"
BROWSER_KEYS = {
    frozenset({"Alt", "ArrowLeft"}): "back",
    frozenset({"Alt", "ArrowRight"}): "forward",
    frozenset({"F5"}): "reload",
    frozenset({"Control", "r"}): "reload",
    frozenset({"Control", "w"}): "close",
}
"""Keys that the browser itself answers, pages do not see them; a browser without a window leaves them to us."""


def key(name: str) -> str:
    """Playwright's name of a key.

    Raises:
        ActionRejected: there is no such key.
    """
    if len(name) == 1:
        return name
    found = NAMES.get(name.strip().lower())
    if found is None:
        raise ActionRejected(f"there is no key {name!r}; expected a character or a name such as {EXAMPLES}")
    return found


def chord(keys: str) -> list[str]:
    """`ctrl+shift+a` as Playwright's names, in the order to press them.

    Raises:
        ActionRejected: one of them is no key.
    """
    return chord_of(keys, key)


def browser_key(keys: str) -> str | None:
    """What the browser itself does at a hotkey: `back`, `forward`, `reload` or `close`; None: it is the page's."""
    return BROWSER_KEYS.get(frozenset(chord(keys)))
