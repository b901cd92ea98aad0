"""Conversations in JSON lines, `{"messages": [{"role": …, "content": …}, …]}`; media lie beside the file."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from qwen2vl_agent.data.example import Example
from qwen2vl_agent.data.order import epoch_order
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.schema.messages import ImagePart, Message, TextPart, VideoPart, as_messages

Targets = Literal["assistant", "text"]


@dataclass(frozen=True)
class ConversationFile:
    """The conversations of one file, each epoch in another order. A line's own `weight` counts its targets."""

    path: Path
    name: str = ""
    """Of the source; the file's name if left out."""
    targets: Targets = "assistant"
    """What is to be predicted: the assistant's words (stage 3), or all text (stages 1 and 2)."""
    seed: int = 0
    starts: tuple[int, ...] = field(default=(), repr=False)
    """Where in the file each line begins."""

    @classmethod
    def open(cls, path: Path | str, targets: Targets = "assistant", seed: int = 0) -> "ConversationFile":
        """The file's conversations.

        Raises:
            ConfigError: there is no such file, or nothing in it.
        """
        path = Path(path)
        if not path.is_file():
            raise ConfigError(f"{path}: no such file; expected lines of JSON with messages")
        starts, at = [], 0
        with path.open("rb") as file:
            for line in file:
                if line.strip():
                    starts.append(at)
                at += len(line)
        if not starts:
            raise ConfigError(f"{path} is empty; expected a conversation on each line")
        return cls(path, path.stem, targets, seed, tuple(starts))

    def example(self, index: int) -> Example:
        """The conversation with this number; after the last one they start again in another order.

        Raises:
            ConfigError: a line that is no conversation.
        """
        epoch, place = divmod(index, len(self.starts))
        number = int(epoch_order(len(self.starts), self.seed, epoch)[place])
        with self.path.open("rb") as file:
            file.seek(self.starts[number])
            line = file.readline()
        try:
            content = json.loads(line)
            messages, weight = as_messages(content["messages"]), float(content.get("weight", 1.0))
        except (ValueError, TypeError, KeyError, ConfigError) as error:
            raise ConfigError(f"{self.path}, conversation {number}: expected messages, but {error!r}") from error
        return Example([self._marked(message) for message in messages], self.name, weight)

    def _marked(self, message: Message) -> Message:
        learnt = message.role == "assistant" or self.targets == "text"
        return replace(message, parts=tuple(self._part(part, learnt) for part in message.parts))

    def _part(self, part: Any, learnt: bool) -> Any:
        """With its path below the file's folder, or marked as a target."""
        if isinstance(part, ImagePart) and isinstance(part.image, Path):
            return replace(part, image=self.path.parent / part.image)
        if isinstance(part, VideoPart) and isinstance(part.video, Path):
            return replace(part, video=self.path.parent / part.video)
        return replace(part, target=learnt) if isinstance(part, TextPart) else part
