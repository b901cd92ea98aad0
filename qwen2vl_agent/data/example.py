"""A conversation to learn from."""

from dataclasses import dataclass

from qwen2vl_agent.schema.messages import Message, TextPart


@dataclass(frozen=True, slots=True)
class Example:
    """Messages with the trainable parts marked (`TextPart.target`), and where they came from."""

    messages: list[Message]
    source: str
    """Name of the source, under which its loss is reported."""
    weight: float = 1.0
    """What each of its target tokens counts in the loss."""

    @property
    def has_targets(self) -> bool:
        """Whether anything in it is to be predicted."""
        return any(isinstance(part, TextPart) and part.target for turn in self.messages for part in turn.parts)
