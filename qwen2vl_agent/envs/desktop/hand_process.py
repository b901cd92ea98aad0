"""The process that holds pyautogui: JSON lines in, JSON lines out.

pyautogui reads DISPLAY once, when it is imported, so each desktop has a process of its own. It ends when its standard
input does. An answer is `{"done": …}`, `{"refused": why}` where nothing was sent, `{"void": why}` where it had no
effect, or `{"lost": why}`.
"""

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from qwen2vl_agent.envs.desktop.scaling import see_every_pixel

DRAG_STEPS = 12
"""Places that a drag passes on its way; applications begin one after a few pixels."""
STEP_S = 0.01
LONGEST_TYPED = 200
"""Longer text is pasted."""
TERMINALS = ("term", "konsole", "kitty", "alacritty", "tilix", "guake", "terminator", "rxvt")
"""Parts of the window classes of terminals, which paste with shift+insert."""
FAIL_SAFE_TEXT = (
    "The pointer is in a corner of the screen: that is the user's signal to stop (pyautogui's fail-safe). Nothing was "
    "sent, and nothing will be until somebody moves the pointer out of the corner by hand."
)


class Refused(Exception):
    """Nothing was sent, and why."""


class Void(Exception):
    """It was sent, but not as asked, and why."""


class Hand:
    """Mouse and keyboard of one display."""

    def __init__(self, fail_safe: bool) -> None:
        see_every_pixel()  # before pyautogui looks at the screen
        import pyautogui

        self.gui: Any = pyautogui
        self.gui.PAUSE, self.gui.MINIMUM_DURATION = 0, 0
        self.gui.FAILSAFE = fail_safe
        self.x11: Any = None
        if sys.platform not in ("darwin", "win32"):
            from pyautogui import _pyautogui_x11

            self.x11 = _pyautogui_x11
            self.x11.keyboardMapping["<"] = self.x11.keyboardMapping[","]  # else it presses the 102nd key: `>`

    def size(self) -> list[int]:
        """Width and height of the whole desktop, in the pointer's units."""
        return list(self.gui.size())

    def position(self) -> list[int]:
        """Where the pointer is."""
        return list(self.gui.position())

    def move(self, x: int, y: int) -> None:
        """Move the pointer."""
        self.gui.moveTo(x, y)

    def click(self, x: int, y: int, button: str, count: int, held: list[str]) -> None:
        """Click, with keys held meanwhile."""
        self.gui.moveTo(x, y)
        with self._held(held):
            self.gui.click(x, y, clicks=count, interval=0.05 if count > 1 else 0, button=button)

    def drag(self, x1: int, y1: int, x2: int, y2: int) -> None:
        """Drag with the left button; it is up afterwards whatever happens."""
        self.gui.moveTo(x1, y1)
        self.gui.mouseDown()
        try:
            for step in range(1, DRAG_STEPS + 1):
                time.sleep(STEP_S)
                self.gui.moveTo(x1 + (x2 - x1) * step // DRAG_STEPS, y1 + (y2 - y1) * step // DRAG_STEPS)
            time.sleep(STEP_S)
        finally:
            self._surely(self.gui.mouseUp)

    def scroll(self, x: int, y: int, dx: int, dy: int) -> None:
        """Turn the wheel: `dy` notches down, `dx` to the right."""
        self.gui.moveTo(x, y)
        unit = 120 if sys.platform == "win32" else 1
        if dy:
            self.gui.scroll(-dy * unit)
        if dx:  # on X11 pyautogui's own `hscroll` takes the right for positive, as we do
            self.gui.hscroll(dx * unit)

    def press(self, keys: list[str]) -> None:
        """Press keys together; they are up afterwards whatever happens."""
        with self._held(keys):
            pass

    def key_down(self, key: str) -> None:
        """Press a key and leave it down."""
        self.gui.keyDown(key)

    def key_up(self, key: str) -> None:
        """Let a key go."""
        self.gui.keyUp(key)

    def type(self, text: str, clear_first: bool) -> str:
        """Type; what no key of the keyboard gives, and long text, comes by the clipboard. Tells which way it took."""
        self.gui.failSafeCheck()
        strokes = self._strokes(text)
        if strokes is None:
            self._see_that_pasting_works()
        if clear_first:
            self.press([self._command, "a"])
            self.press(["delete"])
        if strokes is None:
            self._paste(text)
            return "clipboard"
        if self.x11:
            self._type_x11(strokes)
        else:
            self.gui.write(text)
        return "keys"

    def windows(self) -> list[dict[str, Any]]:
        """The windows that a window manager lists on X11, from the bottom to the top."""
        from qwen2vl_agent.envs.desktop.windows import list_windows

        return list_windows(self.x11._display) if self.x11 else []

    def listed(self) -> list[int]:
        """See `windows.listed`."""
        from qwen2vl_agent.envs.desktop.windows import listed

        return listed(self.x11._display) if self.x11 else []

    @property
    def _command(self) -> str:
        return "command" if sys.platform == "darwin" else "ctrl"

    @contextlib.contextmanager
    def _held(self, keys: list[str]) -> Iterator[None]:
        down: list[str] = []
        try:
            for key in keys:
                self.gui.keyDown(key)
                down.append(key)
            yield
        finally:
            for key in reversed(down):
                self._surely(self.gui.keyUp, key)

    def _surely(self, release: Callable[..., None], *arguments: str) -> None:
        """Release something even where the fail-safe forbids everything."""
        wanted, self.gui.FAILSAFE = self.gui.FAILSAFE, False
        try:
            release(*arguments)
        finally:
            self.gui.FAILSAFE = wanted

    def _strokes(self, text: str) -> list[tuple[int, bool]] | None:
        """Keycode and shift for each character by the display's own layout; None where it has to be pasted."""
        if len(text) > LONGEST_TYPED or not text.isascii():
            return None
        if not self.x11:
            return []
        display, found = self.x11._display, []
        for letter in text:
            symbol = {"\n": 0xFF0D, "\t": 0xFF09}.get(letter, ord(letter))
            ways = [(index, code) for code, index in display.keysym_to_keycodes(symbol) if index in (0, 1)]
            if not ways:
                return None
            index, code = min(ways)
            found.append((code, index == 1))
        return found

    def _type_x11(self, strokes: list[tuple[int, bool]]) -> None:
        from Xlib import X
        from Xlib.ext.xtest import fake_input

        display = self.x11._display
        shift = display.keysym_to_keycode(0xFFE1)
        for code, shifted in strokes:
            if shifted:
                fake_input(display, X.KeyPress, shift)
            fake_input(display, X.KeyPress, code)
            fake_input(display, X.KeyRelease, code)
            if shifted:
                fake_input(display, X.KeyRelease, shift)
            display.sync()

    def _see_that_pasting_works(self) -> None:
        from qwen2vl_agent.envs.desktop import clipboard

        if self.x11 and not clipboard.available():
            raise Refused("this text needs the clipboard, and xclip is not installed; type plain short text, or use it")

    def _paste(self, text: str) -> None:
        from qwen2vl_agent.envs.desktop import clipboard

        if not self.x11:
            clipboard.paste_elsewhere(text, lambda: self.press([self._command, "v"]))
            return
        from qwen2vl_agent.envs.desktop.windows import active_class, selection_owner

        display = self.x11._display
        in_terminal = any(part in active_class(display).lower() for part in TERMINALS)
        selections = ("primary", "clipboard") if in_terminal else ("clipboard",)
        keys = ["shift", "insert"] if in_terminal else ["ctrl", "v"]
        if not clipboard.paste_x11(
            text, selections, lambda: self.press(keys), lambda name: selection_owner(display, name)
        ):
            raise Void(f"the window in front did not paste the text with {'+'.join(keys)}; is a field focused?")


ORDERS = (
    "size",
    "position",
    "move",
    "click",
    "drag",
    "scroll",
    "press",
    "key_down",
    "key_up",
    "type",
    "windows",
    "listed",
)


def obey(hand: Hand, order: dict[str, Any]) -> dict[str, Any]:
    """The answer to one order, done."""
    name = order.pop("do")
    assert name in ORDERS, name
    try:
        return {"done": getattr(hand, name)(**order)}
    except hand.gui.FailSafeException:
        return {"refused": FAIL_SAFE_TEXT}
    except Refused as refusal:
        return {"refused": str(refusal)}
    except Void as void:
        return {"void": str(void)}


def main() -> int:
    """Obey orders until there are no more, or the display is gone."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries may print whatever they like
    try:
        hand = Hand(fail_safe="--no-fail-safe" not in sys.argv)
        answers.write(json.dumps({"done": hand.size()}) + "\n")
        answers.flush()
        for line in sys.stdin:
            answers.write(json.dumps(obey(hand, json.loads(line))) + "\n")
            answers.flush()
    except BrokenPipeError:
        return 0
    except Exception as error:
        with contextlib.suppress(BrokenPipeError):
            answers.write(json.dumps({"lost": f"{type(error).__name__}: {error}".replace("\n", " ")}) + "\n")
            answers.flush()
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
