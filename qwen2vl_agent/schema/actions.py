"""What an agent can do: one frozen dataclass per kind of action.

The dataclass is the single definition. The tool's name is the class name in snake case, its description the docstring's
first line, and the arguments are the fields with their metadata (`schema/tools.py` derives JSON schema, validation and
docs from it).
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from qwen2vl_agent.schema.geometry import Point


def _arg(description: str, **limits: Any) -> dict[str, Any]:
    """Metadata of one argument: its description and any JSON-schema limits (`minimum`, `maximum`, `maxLength`)."""
    return {"description": description, **limits}


@dataclass(frozen=True, kw_only=True, slots=True)
class Tap:
    """Touch a point briefly."""

    point: Point = field(metadata=_arg("where to touch"))


@dataclass(frozen=True, kw_only=True, slots=True)
class LongPress:
    """Touch a point and hold it."""

    point: Point = field(metadata=_arg("where to hold"))
    duration_s: float = field(default=1.0, metadata=_arg("how long, in seconds", minimum=0.3, maximum=10))


@dataclass(frozen=True, kw_only=True, slots=True)
class DoubleTap:
    """Touch a point twice in quick succession."""

    point: Point = field(metadata=_arg("where to touch"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Swipe:
    """Drag a finger from one point to another; content follows the finger."""

    start: Point = field(metadata=_arg("where the finger goes down"))
    end: Point = field(metadata=_arg("where the finger lifts"))
    duration_s: float = field(default=0.5, metadata=_arg("how long, in seconds", minimum=0.05, maximum=10))


@dataclass(frozen=True, kw_only=True, slots=True)
class TypeText:
    """Type text into the focused field."""

    text: str = field(metadata=_arg("what to type", maxLength=2000))
    clear_first: bool = field(default=False, metadata=_arg("empty the field before typing"))


KeyName = Literal[
    "back", "home", "menu", "enter", "delete", "app_switch", "volume_up", "volume_down", "power", "wakeup", "search"
]


@dataclass(frozen=True, kw_only=True, slots=True)
class PressKey:
    """Press a key of the device."""

    name: KeyName = field(metadata=_arg("which key"))


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenApp:
    """Open an installed app by its label."""

    name: str = field(metadata=_arg("the app's label", maxLength=100))


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenLink:
    """Open a link in the app that answers to it."""

    link: str = field(metadata=_arg("an address or a deep link, such as https://… or geo:…", maxLength=2000))


@dataclass(frozen=True, kw_only=True, slots=True)
class PullDown:
    """Show what is pulled down from the top of the screen, or close it."""

    what: Literal["notifications", "settings", "nothing"] = field(
        metadata=_arg("the notifications, the quick settings, or nothing to close them")
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Zoom:
    """Move two fingers apart, or together, around a point."""

    point: Point = field(metadata=_arg("what stays in the middle"))
    factor: float = field(
        metadata=_arg("how many times larger it becomes; below 1 it becomes smaller", minimum=0.25, maximum=4)
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Wait:
    """Wait for the screen to change."""

    seconds: float = field(default=1.0, metadata=_arg("how long, in seconds", minimum=0, maximum=60))


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """Keep a note for later steps."""

    text: str = field(metadata=_arg("what to remember", maxLength=2000))


@dataclass(frozen=True, kw_only=True, slots=True)
class AskUser:
    """Ask the person who gave the task."""

    question: str = field(metadata=_arg("what to ask", maxLength=500))


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """Give the answer that the task asks for."""

    text: str = field(metadata=_arg("the answer", maxLength=2000))


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """End the task."""

    status: Literal["success", "failure"] = field(default="success", metadata=_arg("how it ended"))
    message: str = field(default="", metadata=_arg("a word to the user", maxLength=500))


@dataclass(frozen=True, kw_only=True, slots=True)
class Click:
    """Click with the mouse."""

    point: Point = field(metadata=_arg("where to click"))
    button: Literal["left", "right", "middle"] = field(default="left", metadata=_arg("which button"))
    count: int = field(default=1, metadata=_arg("how often: 2 is a double click", minimum=1, maximum=3))
    modifiers: str = field(default="", metadata=_arg("keys held meanwhile, such as ctrl or ctrl+shift", maxLength=40))


@dataclass(frozen=True, kw_only=True, slots=True)
class Move:
    """Move the mouse pointer without pressing a button."""

    point: Point = field(metadata=_arg("where to"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Drag:
    """Press the left mouse button at one point and release it at another."""

    start: Point = field(metadata=_arg("where the button goes down"))
    end: Point = field(metadata=_arg("where it is released"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Scroll:
    """Turn the mouse wheel over a point."""

    point: Point = field(metadata=_arg("where the pointer is"))
    dx: int = field(default=0, metadata=_arg("notches to the right, negative to the left", minimum=-20, maximum=20))
    dy: int = field(default=0, metadata=_arg("notches down, negative up", minimum=-20, maximum=20))


@dataclass(frozen=True, kw_only=True, slots=True)
class Hotkey:
    """Press keys together and release them."""

    keys: str = field(metadata=_arg("for example enter, ctrl+c or ctrl+shift+t", maxLength=60))


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyDown:
    """Press a key and hold it."""

    key: str = field(metadata=_arg("which key, for example shift", maxLength=20))


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyUp:
    """Release a key that is held."""

    key: str = field(metadata=_arg("which key", maxLength=20))


Action = (
    Tap | LongPress | DoubleTap | Swipe | TypeText | PressKey | OpenApp | OpenLink | PullDown | Zoom
    | Click | Move | Drag | Scroll | Hotkey | KeyDown | KeyUp
    | Wait | Note | AskUser | Answer | Done
)  # fmt: skip

PHONE_ACTIONS: tuple[type, ...] = (
    Tap, LongPress, DoubleTap, Swipe, TypeText, PressKey, OpenApp, Wait, Note, AskUser, Answer, Done,
)  # fmt: skip
MORE_PHONE_ACTIONS: dict[str, type] = {"open_link": OpenLink, "pull_down": PullDown, "zoom": Zoom}
"""Offered on a phone where they are asked for. They are in no prompt otherwise: models were taught the ones above."""
DESKTOP_ACTIONS: tuple[type, ...] = (
    Click, Move, Drag, Scroll, TypeText, Hotkey, KeyDown, KeyUp, Wait, Note, AskUser, Answer, Done,
)  # fmt: skip
