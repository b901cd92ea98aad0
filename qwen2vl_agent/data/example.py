"""A conversation to learn from."""

from dataclasses import dataclass
from typing import Any, Protocol

from qwen2vl_agent.dialogue.encode import Encoded
from qwen2vl_agent.schema.messages import Message, TextPart


class Encodable(Protocol):
    """What a source gives: an `Example`, or what is left of one in a text store."""

    @property
    def source(self) -> str:
        """Name of the source, under which its loss is reported."""
        ...

    @property
    def weight(self) -> float:
        """What each of its target tokens counts in the loss."""
        ...

    def encode(self, processor: Any) -> Encoded:
        """Its tensors."""


@dataclass(frozen=True, slots=True)
class Example:
    """Messages with the trainable parts marked (`TextPart.target`), and where they came from."""

    messages: list[Message]
    source: str
    """Name of the source, under which its loss is reported."""
    weight: float = 1.0
    """What each of its target tokens counts in the loss."""
    plain: bool = False
    """Whether its only message is a page, read as it stands: without roles, every text a target."""

    @property
    def has_targets(self) -> bool:
        """Whether anything in it is to be predicted."""
        return any(isinstance(part, TextPart) and part.target for turn in self.messages for part in turn.parts)

    def encode(self, processor: Any) -> Encoded:
        """Its tensors, by a `Processor` or whatever has its `encode`."""
        if self.plain:
            return processor.encode_document(self.messages[0].parts)
        return processor.encode(self.messages)


def page(parts: tuple[Any, ...], source: str) -> Example:
    """A page of text and pictures to learn as it stands."""
    told = tuple(TextPart(part.text, target=True) if isinstance(part, TextPart) else part for part in parts)
    return Example([Message("assistant", told)], source, plain=True)
