"""The turns of a conversation, as the encoder reads them and as trajectories keep them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from qwen2vl_agent.schema.errors import ConfigError

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class TextPart:
    """A stretch of text."""

    text: str
    token_ids: tuple[int, ...] | None = None
    """The ids a model really wrote. The encoder splices them in and never tokenises `text` again."""
    target: bool = False
    """Whether training predicts these tokens (only what the assistant itself writes)."""
    looks: tuple[int, ...] | None = None
    """For training: the visual token of the picture before that shows each character of `text`, or -1."""


@dataclass(frozen=True, slots=True)
class ImagePart:
    """An image: a PIL image, a path, or encoded bytes."""

    image: Any
    sha256: str | None = None
    """Content hash of a stored frame, where there is one."""
    size: tuple[int, int] | None = None
    """Width and height in pixels, where they are known without opening it."""


@dataclass(frozen=True, slots=True)
class VideoPart:
    """A video: a list of PIL images, or a path."""

    video: Any
    fps: float = 2.0
    """Rate of the frames given, or the sampling rate wanted of a file, in frames per second."""
    sha256: str | None = None
    """Hash of the contents of all frames, where they are stored ones."""
    size: tuple[int, int, int] | None = None
    """Number of frames, width and height in pixels, where they are known without opening them."""


Part = TextPart | ImagePart | VideoPart


@dataclass(frozen=True, slots=True)
class Message:
    """One turn."""

    role: Role
    parts: tuple[Part, ...]
    closed: bool = True
    """False for an assistant's turn that the model is to go on with: no `<|im_end|>` is written."""


def as_messages(conversation: list[Any]) -> list[Message]:
    """Messages from the plain form `[{"role": …, "content": str | [part, …]}]`; `Message` objects pass through.

    Raises:
        ConfigError: a role, part or key that is not known.
    """
    return [item if isinstance(item, Message) else _message(item, index) for index, item in enumerate(conversation)]


def _message(item: Any, index: int) -> Message:
    if not isinstance(item, dict) or "role" not in item or "content" not in item:
        raise ConfigError(f"message {index} is {type(item).__name__}; expected an object with 'role' and 'content'")
    role, content = item["role"], item["content"]
    if role not in ("system", "user", "assistant"):
        raise ConfigError(f"message {index} has the role {role!r}; expected system, user or assistant")
    if isinstance(content, str):
        return Message(role, (TextPart(content),))
    return Message(role, tuple(_part(part, index) for part in content))


def _part(part: Any, index: int) -> Part:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind == "text":
        return TextPart(part["text"])
    if kind == "image":
        return ImagePart(_path_or_value(part["image"]))
    if kind == "video":
        return VideoPart(_path_or_value(part["video"]), float(part.get("fps", 2.0)))
    raise ConfigError(f"message {index} has a part of type {kind!r}; expected text, image or video")


def _path_or_value(value: Any) -> Any:
    return Path(value) if isinstance(value, str) else value
