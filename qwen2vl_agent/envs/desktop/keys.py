"""Names of keys: what agents write, and what pyautogui calls it."""

import sys

from qwen2vl_agent.envs.chords import chord_of
from qwen2vl_agent.schema.errors import ActionRejected

NAMES = {
    "ctrl": "ctrl", "control": "ctrl", "alt": "alt", "option": "alt", "shift": "shift",
    "meta": "win", "win": "win", "super": "win", "cmd": "command", "command": "command",
    "enter": "enter", "return": "enter", "esc": "escape", "escape": "escape", "tab": "tab", "space": "space",
    "backspace": "backspace", "delete": "delete", "del": "delete", "insert": "insert",
    "up": "up", "down": "down", "left": "left", "right": "right",
    "arrowup": "up", "arrowdown": "down", "arrowleft": "left", "arrowright": "right",
    "home": "home", "end": "end", "pageup": "pageup", "page_up": "pageup", "pgup": "pageup",
    "pagedown": "pagedown", "page_down": "pagedown", "pgdn": "pagedown", "plus": "+", "minus": "-",
    "printscreen": "printscreen", "capslock": "capslock",
    **{f"f{number}": f"f{number}" for number in range(1, 13)},
}  # fmt: skip
EXAMPLES = "enter, escape, tab, space, backspace, delete, up, home, pagedown, f5, ctrl, alt, shift, super"


ELSEWHERE = {"darwin": {"win": "command"}, "win32": {"command": "win"}}
"""The key beside the space bar as a platform's keyboards call it; pyautogui ignores the other name in silence."""


def key(name: str, platform: str = sys.platform) -> str:
    """pyautogui's name of a key.

    Raises:
        ActionRejected: there is no such key, or no keyboard has it.
    """
    if len(name) == 1 and name.isascii() and name.isprintable():
        return "space" if name == " " else name
    found = NAMES.get(name.strip().lower())
    if found is None:
        raise ActionRejected(f"there is no key {name!r}; expected a character or a name such as {EXAMPLES}")
    return ELSEWHERE.get(platform, {}).get(found, found)


def chord(keys: str) -> list[str]:
    """`ctrl+shift+a` as pyautogui's names, in the order to press them.

    Raises:
        ActionRejected: one of them is no key.
    """
    return chord_of(keys, key)
