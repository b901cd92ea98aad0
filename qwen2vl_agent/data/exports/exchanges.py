"""A recorded episode as other trainers take it: the assistant's and the environment's turns one after the other.

Whatever form was recorded, calls are written as `<tool_call>`, which the Qwen models after Qwen2-VL know by themselves,
and the tools stand in the system message. What the model wrote comes out as text, to be tokenised by whoever reads it;
the very tokens are in the record itself and in ATIF.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qwen2vl_agent.data.examples import recorded_turns
from qwen2vl_agent.dialogue.compose import Turn, compose_finished
from qwen2vl_agent.dialogue.tool_call import parse_call, render_call
from qwen2vl_agent.schema.errors import ToolCallError
from qwen2vl_agent.schema.messages import ImagePart, Message, TextPart
from qwen2vl_agent.schema.trajectory import CallForm

FORM: CallForm = "tool_call"


@dataclass(frozen=True, slots=True)
class Conversation:
    """Messages of text and pictures; of an assistant's, whether it is to be learned."""

    episode: str
    """Name of the episode's folder."""
    messages: tuple[Message, ...]

    @property
    def learnt_whole(self) -> bool:
        """Whether every reply is to be learned."""
        return all(is_learnt(message) for message in self.messages if message.role == "assistant")

    def up_to_each_reply(self) -> Iterator["Conversation"]:
        """For each reply to learn, the conversation that ends with it; those before it are context."""
        for place, message in enumerate(self.messages):
            if message.role == "assistant" and is_learnt(message):
                before = tuple(map(_unlearnt, self.messages[:place]))
                yield Conversation(self.episode, (*before, message))


def conversation(folder: Path) -> Conversation:
    """The episode in a folder.

    Raises:
        RecordError: no episode there, damaged, empty, or with a tool that nothing describes.
    """
    dialogue, turns = recorded_turns(folder)
    rewritten = [_rewritten(turn, dialogue.form) for turn in turns]
    messages = compose_finished(dataclasses.replace(dialogue, form=FORM, detail="full"), rewritten)
    return Conversation(folder.name, tuple(messages))


def is_learnt(message: Message) -> bool:
    """Whether an assistant's message is to be learned."""
    return any(isinstance(part, TextPart) and part.target for part in message.parts)


def text_of(message: Message, picture: str) -> str:
    """The message as one text, `picture` in the place of each image."""
    return "".join(picture if isinstance(part, ImagePart) else _text(part) for part in message.parts)


def pictures_of(messages: tuple[Message, ...]) -> list[ImagePart]:
    """The images of a conversation in their order."""
    return [part for message in messages for part in message.parts if isinstance(part, ImagePart)]


def _rewritten(turn: Turn, form: CallForm) -> Turn:
    """The reply in the form of the export; one that could not be read stays as it is, and is not learned.

    A clip is left out, the screenshot stays: the formats have pictures only.
    """
    plain = dataclasses.replace(turn, reply_token_ids=None, clip=None)
    try:
        said = parse_call(turn.reply_text, form)
    except ToolCallError:
        return dataclasses.replace(plain, target=False)
    return dataclasses.replace(plain, reply_text=render_call(said.thought, said.call, FORM))


def _unlearnt(message: Message) -> Message:
    parts = [dataclasses.replace(part, target=False) if isinstance(part, TextPart) else part for part in message.parts]
    return dataclasses.replace(message, parts=tuple(parts))


def _text(part: Any) -> str:
    assert isinstance(part, TextPart)
    return part.text
