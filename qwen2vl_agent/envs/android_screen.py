"""What state a phone's screen is in, from what `dumpsys power` and `dumpsys window` tell. Pure."""

import re
from typing import Literal

ScreenState = Literal["on", "off", "locked", "secure"]
STATE_COMMAND = (
    "dumpsys power | grep mWakefulness=; "
    "dumpsys window | grep -E 'mCurrentFocus=|Window #|fl=|showing=|mDreamingLockscreen=|mShowingLockscreen='"
)
AWAKE = re.compile(r"mWakefulness=(\w+)")
FOCUSED = re.compile(r"mCurrentFocus=(Window\{\w+)")
WINDOW = re.compile(r"Window #\d+ (Window\{\w+)")
FLAGS = re.compile(r"\bfl=(.*)")
LOCKED = re.compile(r"\b(?:showing|mDreamingLockscreen|mShowingLockscreen)=true")
WHY_BLACK = {
    "off": "The screen is off: press the key `wakeup` to turn it on.",
    "locked": "The phone is locked, and its screen is black. Nothing on it can be seen.",
    "secure": "The app in front does not let its screen be captured, so it is black here. Nothing on it can be seen.",
}
"""What an agent is told of a black screen."""


def parse_state(answer: str) -> ScreenState:
    """The state in what `STATE_COMMAND` answers; `on` where nothing tells otherwise."""
    wakefulness = AWAKE.search(answer)
    if wakefulness and wakefulness[1] not in ("Awake", "Dreaming"):
        return "off"
    if LOCKED.search(answer):
        return "locked"
    focus = FOCUSED.search(answer)
    return "secure" if focus and focus[1] in _secure_windows(answer) else "on"


def _secure_windows(answer: str) -> set[str]:
    """The windows that carry FLAG_SECURE."""
    secure, current = set(), ""
    for line in answer.splitlines():
        window, flags = WINDOW.search(line), FLAGS.search(line)
        if window:
            current = window[1]
        elif flags and "SECURE" in flags[1].split():
            secure.add(current)
    return secure
