"""What became of an action: whether anything changed, whether typed text arrived, what kind of screen came up.

It is recorded in every run, but for typed text, which is read back with `AgentConfig.verified` only. The model is told
of it with `verified` only, because a model reads best what it was taught to read.
"""

import dataclasses
import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from PIL import Image, ImageChops

from qwen2vl_agent.agent.guards import TOP_SHARE
from qwen2vl_agent.envs.settling import is_black
from qwen2vl_agent.schema.actions import Answer, AskUser, Done, Note, TypeText, Wait
from qwen2vl_agent.schema.errors import DeviceLost
from qwen2vl_agent.schema.observation import Element, Observation
from qwen2vl_agent.schema.trajectory import Step, StepEvent

COARSE = 8
"""Pictures are compared this many times smaller first: that settles most of them, in a tenth of the time."""
HARMLESS = (Note, AskUser, Answer, Done, Wait)
"""After these an unchanged screen means nothing."""
DOTS = re.compile(r"[•●∙*·]+")
"""How a field shows a password."""

UNCHANGED_TEXT = "Nothing on the screen changed."
DOUBTED_TEXT = "Looked at again, your last step does not seem to have done what you wanted."
ROTATED_TEXT = "The screen was turned."
CONDITION_TEXTS: dict[StepEvent, str] = {
    "locked": "The device is locked; only the person can unlock it.",
    "secure": "The app in front forbids pictures of itself.",
}


class Noticed(NamedTuple):
    """Events of a screen, and what is told of them."""

    events: list[StepEvent]
    text: str


def screen_events(env: Any, seen: Observation, steps: Sequence[Step], verified: bool) -> Noticed:
    """What kind of screen this is: black, secure, locked, turned since the step before.

    A device that can tell its `condition` is asked where the picture shows nothing, and with `verified` always.
    """
    events: list[StepEvent] = []
    texts: list[str] = []
    if black := is_black(seen.image):
        events.append("black")
    if steps and (steps[-1].frame.width > steps[-1].frame.height) != (seen.frame.width > seen.frame.height):
        events.append("rotated")
        texts.append(ROTATED_TEXT)
    if black or verified:
        condition: Any = getattr(getattr(env, "device", None), "condition", lambda: "")()
        if condition in CONDITION_TEXTS:
            events.append(condition)
            texts.append(CONDITION_TEXTS[condition])
    return Noticed(events, " ".join(texts) if verified else "")


def aftermath(step: Step, verified: bool) -> str:
    """What the next screen is shown with, because of a step; it follows from the record alone."""
    performed = step.performed or {}
    if "answered" in step.events:
        return f"The user says: {performed.get('answer', '')}"
    if "by_hand" in step.events:
        return "The user acted on the device; go on from this screen."
    if "doubted" in step.events:
        return DOUBTED_TEXT
    if not verified:
        return ""
    if "mistyped" in step.events:
        return f"The field now holds {json.dumps(performed.get('field', ''), ensure_ascii=False)}."
    return UNCHANGED_TEXT if "unchanged" in step.events else ""


def unchanged(before: Image.Image, now: Image.Image, action: Any) -> bool:
    """Whether an action that should be seen left every pixel below the clock as it was."""
    if isinstance(action, HARMLESS):
        return False
    if before is now:
        return True
    if before.size != now.size:
        return False
    below = (0, round(TOP_SHARE * now.height), *now.size)
    if before.reduce(COARSE, below).tobytes() != now.reduce(COARSE, below).tobytes():
        return False
    return ImageChops.difference(before.crop(below), now.crop(below)).getbbox() is None


def focused_field(env: Any) -> Element | None:
    """The text field that takes what is typed; None where there is none or the device cannot tell."""
    read = getattr(getattr(env, "device", None), "elements", None)
    if read is None:
        return None
    try:
        found = [element for element in read() if element.role == "field" and element.focused]
    except DeviceLost:  # a screen that never rests gives no tree: then nothing is known
        return None
    return found[0] if len(found) == 1 else None


@dataclasses.dataclass(frozen=True, slots=True)
class Typed:
    """What arrived of a text."""

    arrived: bool
    field: str = ""
    """What the field holds."""
    again: TypeText | None = None
    """What would mend it; None where nobody can tell."""


def typed(action: TypeText, before: Element | None, now: Element | None) -> Typed:
    """Compare the field before and after typing. Where it cannot be read, the text is taken to have arrived.

    Worked example, "cat" typed: "" -> "cat" arrived; "my " -> "my cat" arrived; "" -> "" is typed again;
    "my " -> "my c" is cleared and typed as "my cat"; "Search" (a hint) -> "c" is cleared and typed as "cat".
    """
    if before is None or now is None or "\n" in action.text or DOTS.fullmatch(now.text or ""):
        return Typed(True)
    if _plain(now.text).endswith(_plain(action.text)):
        return Typed(True)
    old = "" if action.clear_first else before.text
    if now.text == before.text:
        return Typed(False, now.text, action)
    if action.text.startswith(now.text):  # what stood there was a hint, or was cleared
        return Typed(False, now.text, TypeText(text=action.text, clear_first=True))
    if now.text.startswith(old):
        return Typed(False, now.text, TypeText(text=old + action.text, clear_first=True))
    return Typed(False, now.text)


def _plain(text: str) -> str:
    return " ".join(text.split())
