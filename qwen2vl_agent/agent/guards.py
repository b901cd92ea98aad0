"""Guards against going round in circles, and the grey screen of a blind run."""

import json
from collections import Counter

from PIL import Image

from qwen2vl_agent.schema.tools import ToolCall

GREY = (128, 128, 128)


def grey_screen(image: Image.Image) -> Image.Image:
    """A picture of equal size that shows nothing."""
    return Image.new("RGB", image.size, GREY)


class LoopGuard:
    """Counts how often the same call was made on the very same pixels.

    Pixels, not descriptions: a picture that changed, by a letter typed or a switch turned, is another screen.
    """

    def __init__(self, hint_after: int, stop_after: int) -> None:
        self._hint_after = hint_after
        self._stop_after = stop_after
        self._counts: dict[str, Counter[str]] = {}

    def note(self, screen: str, call: ToolCall) -> None:
        """Count a call made on the screen with this hash."""
        written = json.dumps([call.name, call.arguments], sort_keys=True, ensure_ascii=False)
        self._counts.setdefault(screen, Counter())[written] += 1

    def hint(self, screen: str) -> str:
        """What to tell the model that sees this screen again; empty if there is nothing to tell."""
        written, count = self._most(screen)
        if not self._hint_after or count < self._hint_after:
            return ""
        name, arguments = json.loads(written)
        return (
            f"You called {name} with {json.dumps(arguments, ensure_ascii=False)} {count} times on this same screen. "
            "Do something else."
        )

    def stuck(self, screen: str) -> bool:
        """Whether a call was made so often on this screen that the episode should end."""
        return bool(self._stop_after) and self._most(screen)[1] >= self._stop_after

    def _most(self, screen: str) -> tuple[str, int]:
        counts = self._counts.get(screen)
        return counts.most_common(1)[0] if counts else ("", 0)
