"""Actions as lines for a phone's shell. Pure: nothing is sent here."""

import base64
import re
import shlex
import unicodedata
from collections.abc import Iterator, Sequence

from qwen2vl_agent.schema.actions import KeyName

KEY_CODES: dict[KeyName, int] = {
    "back": 4, "home": 3, "menu": 82, "enter": 66, "delete": 67, "app_switch": 187, "volume_up": 24, "volume_down": 25,
    "power": 26, "wakeup": 224, "search": 84,
}  # fmt: skip
"""Source: android.view.KeyEvent."""
quote = shlex.quote
"""Quotes one word for the shell of the phone."""
MOVE_END, DELETE, ENTER, TAB, CTRL_LEFT, LETTER_A = 123, 67, 66, 61, 113, 29
LONGEST_TEXT = 400
"""Characters of one `input text`: long ones are dropped by slow phones."""
DELETE_BATCH = 250
"""Times that delete is pressed where the phone cannot select all."""


def is_plain(text: str) -> bool:
    """Whether every character has a key: printable ASCII, tab and newline."""
    return all(" " <= character <= "~" or character in "\t\n" for character in text)


def holds(field: str, typed: str) -> bool:
    """Whether a field holds what was typed; apps may set it in capitals, or put spaces and marks between."""
    wanted, there = _letters(typed), _letters(field)
    return wanted in there if wanted else typed.strip() in field


def _letters(text: str) -> str:
    normal = unicodedata.normalize("NFKC", text).casefold()
    return "".join(character for character in normal if unicodedata.category(character)[0] in "LMNS")


def tap(x: int, y: int) -> str:
    """A short touch."""
    return f"input tap {x} {y}"


def swipe(x1: int, y1: int, x2: int, y2: int, duration_s: float) -> str:
    """A moving finger; one that stays in place is a long press."""
    return f"input swipe {x1} {y1} {x2} {y2} {round(duration_s * 1000)}"


def key(code: int) -> str:
    """One key."""
    return f"input keyevent {code}"


def type_plain(text: str) -> list[str]:
    """The lines that type ASCII text so that every character arrives.

    `input text` writes a space for `%s` and knows no escape for those two characters themselves, so a text that holds
    them is cut between them: `5%s` becomes `input text '5%'` and `input text 's'`.
    """
    assert is_plain(text)
    return [_piece(piece) for piece in re.split(r"([\n\t])", text) for piece in _pieces(piece)]


def _pieces(text: str) -> Iterator[str]:
    if text in ("\n", "\t"):
        yield text
        return
    for part in re.split(r"(?<=%)(?=s)", text):
        for start in range(0, len(part), LONGEST_TEXT):
            yield part[start : start + LONGEST_TEXT]


def _piece(text: str) -> str:
    if text in ("\n", "\t"):
        return key(ENTER if text == "\n" else TAB)
    return "input text " + shlex.quote(text.replace(" ", "%s"))


def type_any(text: str) -> list[str]:
    """The lines that type text in any script through ADBKeyBoard, which must be the phone's keyboard.

    Source: github.com/senzhk/ADBKeyBoard.
    """
    pieces = [piece for piece in re.split(r"(\n)", text) if piece]
    return [key(ENTER) if piece == "\n" else _broadcast(piece) for piece in pieces]


def _broadcast(text: str) -> str:
    return "am broadcast -a ADB_INPUT_B64 --es msg " + base64.b64encode(text.encode()).decode()


def select_all_and_delete() -> str:
    """Empties the focused field where the phone knows key combinations (Android 13 and later)."""
    return f"input keycombination {CTRL_LEFT} {LETTER_A} && {key(DELETE)}"


def delete_backwards() -> str:
    """Empties the focused field on older phones, up to `DELETE_BATCH` characters."""
    return f"input keyevent {MOVE_END}" + f" {DELETE}" * DELETE_BATCH


def chain(lines: Sequence[str], *, longest: int = 3500) -> Iterator[str]:
    """Lines joined by `&&` into as few as fit an old phone's command length."""
    joined = ""
    for line in lines:
        if joined and len(joined) + len(line) + 4 > longest:
            yield joined
            joined = ""
        joined = f"{joined} && {line}" if joined else line
    if joined:
        yield joined
