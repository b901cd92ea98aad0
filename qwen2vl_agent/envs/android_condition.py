"""What keeps a phone's screen from being seen or used: the lock screen, or an app that forbids pictures of itself."""

import re
from typing import Literal

Condition = Literal["", "locked", "secure"]
COMMAND = "dumpsys window policy | grep showing=; dumpsys window windows | grep -E 'mCurrentFocus|Window #|fl=.*SECURE'"
"""Source: AOSP, `KeyguardServiceDelegate.dump`, and `WindowState.dump` with `LayoutParams.toString`."""
SHOWING = re.compile(r"^\s*showing=true\s*$", re.MULTILINE)
FOCUS = re.compile(r"mCurrentFocus=Window\{(\w+)")
WINDOW = re.compile(r"Window #\d+ Window\{(\w+)")
SECURE = re.compile(r"\bfl=[A-Z_ ]*\bSECURE\b")


def read_condition(answer: str) -> Condition:
    """The condition in what `COMMAND` answers. Secure counts only where the window in focus is."""
    if SHOWING.search(answer):
        return "locked"
    focus = FOCUS.search(answer)
    blocks = WINDOW.split(answer)  # text before the first window, then each window's name and what follows it
    secure = {name for name, block in zip(blocks[1::2], blocks[2::2], strict=True) if SECURE.search(block)}
    return "secure" if focus and focus[1] in secure else ""
