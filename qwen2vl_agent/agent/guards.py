"""Guards against going round in circles, and the grey screen of a blind run."""

import json
from collections import Counter
from hashlib import sha256

import numpy as np
from PIL import Image

from qwen2vl_agent.schema.actions import Wait
from qwen2vl_agent.schema.tools import ToolCall, tool_name

WAIT = tool_name(Wait)
GREY = (128, 128, 128)
CELLS = 54
"""Columns of `screen_key`: on a phone of 1080 x 2400 a cell is 20 pixels wide, smaller than a letter."""
TOP_SHARE = 0.04
"""Share of the height, from the top, that comparisons leave out: the clock and the battery."""
DEAD_LEVEL = 6
"""Grey levels by which neighbouring cells must differ to count."""


def grey_screen(image: Image.Image) -> Image.Image:
    """A picture of equal size that shows nothing."""
    return Image.new("RGB", image.size, GREY)


def screen_key(image: Image.Image) -> str:
    """A perceptual hash: equal for what looks equal, whatever the clock and faint noise do.

    For each pair of neighbouring cells it keeps which is brighter, or that neither is. A letter typed or a switch
    turned changes it.
    """
    below = (0, round(TOP_SHARE * image.height), *image.size)
    side = max(1, min(image.size) // CELLS)
    cells = np.asarray(image.reduce(side, below).convert("L"), np.int16)
    across, down = np.diff(cells, axis=1), np.diff(cells, axis=0)
    signs = [np.sign(np.where(np.abs(step) > DEAD_LEVEL, step, 0)).astype(np.int8).tobytes() for step in (across, down)]
    return sha256(b"".join(signs)).hexdigest()


class LoopGuard:
    """Counts how often the same call was made on the very same screen, known by its hash.

    A picture that changed, by a letter typed or a switch turned, is another screen.
    """

    def __init__(self, hint_after: int, stop_after: int, other_after: int = 0) -> None:
        self._hint_after = hint_after
        self._stop_after = stop_after
        self._other_after = other_after
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

    def worn_out(self, screen: str) -> tuple[ToolCall, ...]:
        """The calls that were made so often on this screen that another is to be tried.

        Waiting is none: a page that is slow looks the same until it is there.
        """
        counts = self._counts.get(screen, Counter())
        often = [written for written, count in counts.items() if self._other_after and count >= self._other_after]
        return tuple(call for call in (ToolCall(*json.loads(written)) for written in often) if call.name != WAIT)

    def stuck(self, screen: str) -> bool:
        """Whether a call was made so often on this screen that the episode should end."""
        return bool(self._stop_after) and self._most(screen)[1] >= self._stop_after

    def _most(self, screen: str) -> tuple[str, int]:
        counts = self._counts.get(screen)
        return counts.most_common(1)[0] if counts else ("", 0)
