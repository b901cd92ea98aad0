"""The lock screen: a picture, and what touches and keys do on it."""

from dataclasses import dataclass

from PIL import Image

from qwen2vl_agent.envs.virtual_phone.draw import Canvas, Rect
from qwen2vl_agent.envs.virtual_phone.locales import Translate
from qwen2vl_agent.envs.virtual_phone.widgets import WIDTH, scale_of, screen_of

SWIPE_DP = 60.0
"""A finger that moves up this far opens the lock, or the pad for the PIN."""
KEYS = ("1", "2", "3", "4", "5", "6", "7", "8", "9", "⌫", "0", "↵")
PAD_TOP_DP, KEY_DP = 330.0, 90.0
GROUND, INK, KEY_COLOUR = (18, 22, 30), (238, 240, 245), (52, 58, 70)


@dataclass(slots=True)
class Lock:
    """A locked screen."""

    pin: str
    """Digits that open it; empty where a swipe does."""
    pad: bool = False
    """Whether the pad for the PIN is shown."""
    typed: str = ""
    failed: bool = False
    """Whether the last PIN was wrong."""

    def swipe_up(self) -> bool:
        """A finger moved up; True when that opens it."""
        self.pad = bool(self.pin)
        return not self.pin

    def press(self, key: str) -> bool:
        """A digit, `⌫` or `↵`; True when that opens it."""
        if not self.pin:
            return False
        self.pad, self.failed = True, False
        if key == "⌫":
            self.typed = self.typed[:-1]
        elif key == "↵":
            opened, self.typed = self.typed == self.pin, ""
            self.failed = not opened
            return opened
        else:
            self.typed += key
        return False

    def key_at(self, screen: Rect, x: float, y: float) -> str:
        """The key of the pad at a place in dp; empty where there is none."""
        column, row = int((x - screen.centre[0] + WIDTH / 2) // (WIDTH / 3)), int((y - PAD_TOP_DP) // KEY_DP)
        return KEYS[3 * row + column] if self.pad and y >= PAD_TOP_DP and 0 <= row < 4 and 0 <= column < 3 else ""

    def key_middles(self, screen: Rect) -> dict[str, tuple[float, float]]:
        """Where the pad's keys are, in dp; empty while it is not shown."""
        if not self.pad:
            return {}
        return {
            key: (screen.centre[0] + (index % 3 - 1) * WIDTH / 3, PAD_TOP_DP + (index // 3 + 0.5) * KEY_DP)
            for index, key in enumerate(KEYS)
        }

    def paint(self, size: tuple[int, int], clock: str, say: Translate = str) -> Image.Image:
        """The screen of the phone, in its natural orientation."""
        canvas, screen = Canvas(Image.new("RGB", size, GROUND), scale_of(size)), screen_of(size)
        middle = screen.centre[0]
        if self.pad:
            words = say("Wrong PIN") if self.failed else "*" * len(self.typed) or say("Enter PIN")
            canvas.text(middle, 250, words, 26, INK, align="middle")
            for key, (x, y) in self.key_middles(screen).items():
                canvas.round(Rect(x - 50, y - 38, x + 50, y + 38), 30, KEY_COLOUR)
                canvas.text(x, y, {"⌫": "del", "↵": say("OK")}.get(key, key), 30, INK, align="middle")
        else:
            canvas.text(middle, 200, clock, 64, INK, align="middle")
            canvas.text(middle, 600, say("Swipe up to unlock"), 20, INK, align="middle")
        return canvas.image
