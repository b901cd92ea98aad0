"""From texts with placeholders to turns of parts."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from qwen2vl_agent.data.readers.media import MediaRoot
from qwen2vl_agent.schema.errors import RecordError
from qwen2vl_agent.schema.messages import Message, Part, Role, TextPart

PLACEHOLDER = re.compile(r"<(image|video)>")
TIGHT = re.compile(r"\n?<(image|video)>\n?")
"""Some sets put every placeholder on a line of its own; the model's own form has no line ends there."""
TOOL_CALL, TOOL_RESPONSE = "<tool_call>\n{}\n</tool_call>", "<tool_response>\n{}\n</tool_response>"
"""Source: the chat template of Qwen2.5."""
ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
}
CALLS, RESPONSES = ("function_call", "tool_call"), ("observation", "tool", "tool_response")


@dataclass
class Pictures:
    """A record's pictures and videos, handed out in order."""

    root: MediaRoot
    images: list[Any] = field(default_factory=list)
    videos: list[Any] = field(default_factory=list)

    def next(self, kind: str) -> Part:
        """The next image or video.

        Raises:
            RecordError: there are more placeholders than pictures.
        """
        rest = self.images if kind == "image" else self.videos
        if not rest:
            raise RecordError(f"more <{kind}> placeholders than {kind}s")
        value = rest.pop(0)
        return self.root.image(value) if kind == "image" else self.root.video(value)

    def unplaced(self, texts: Sequence[str]) -> list[Part]:
        """Those that no placeholder in `texts` asks for: they stand before everything else."""
        made = []
        for kind, rest in (("image", self.images), ("video", self.videos)):
            asked = sum(found == kind for text in texts for found in PLACEHOLDER.findall(text))
            made += [self.next(kind) for _ in range(len(rest) - asked)]
        return made


def parts(text: str, pictures: Pictures, target: bool = False, tight: bool = False) -> list[Part]:
    """Text and pictures in order. A text that is learnt has no placeholders: what it says is what it means."""
    if target:
        return [TextPart(text, target=True)] if text else []
    made: list[Part] = []
    for place, piece in enumerate((TIGHT if tight else PLACEHOLDER).split(text)):
        if place % 2:
            made.append(pictures.next(piece))
        elif piece:
            made.append(TextPart(piece))
    return made


def turn(role: str, text: str, pictures: Pictures, *, learnt: bool = True, tight: bool = False) -> Message:
    """One turn; what the assistant says is a target if `learnt`.

    Raises:
        RecordError: an unknown role, or text that is none.
    """
    if not isinstance(text, str):
        raise RecordError(f"a turn's text is {type(text).__name__}; expected text")
    if role in CALLS:
        role, text = "assistant", TOOL_CALL.format(text)
    elif role in RESPONSES:
        role, text = "user", TOOL_RESPONSE.format(text)
    if role not in ROLES:
        raise RecordError(f"a turn has the role {role!r}; expected one of {', '.join((*ROLES, *CALLS, *RESPONSES))}")
    known = ROLES[role]
    return Message(known, tuple(parts(text, pictures, target=learnt and known == "assistant", tight=tight)))


def lead(messages: list[Message], before: list[Part]) -> list[Message]:
    """The conversation with pictures put before the first thing that the user says."""
    if not before:
        return messages
    for place, message in enumerate(messages):
        if message.role == "user":
            head = Message("user", (*before, *message.parts))
            return [*messages[:place], head, *messages[place + 1 :]]
    return [Message("user", tuple(before)), *messages]


def as_list(value: Any) -> list[Any]:
    """One thing, several, or none, as a list."""
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def entry(value: Any, name: str) -> Any:
    """A field of an object.

    Raises:
        RecordError: it is no object, or has no such field.
    """
    if not isinstance(value, dict) or name not in value:
        raise RecordError(f"a turn has no {name!r}")
    return value[name]
