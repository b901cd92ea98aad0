"""Conversations as lines of JSON: TRL's and OpenAI's messages, LLaMA-Factory's ShareGPT, ms-swift's messages.

Pictures are named by paths from the export's folder, in the order of their places.
"""

from collections.abc import Callable
from typing import Any

from qwen2vl_agent.data.exports.exchanges import Conversation, is_learnt, pictures_of, text_of
from qwen2vl_agent.schema.messages import ImagePart, Message, TextPart

PLACEHOLDER = "<image>"
SHAREGPT_ROLES = {"user": "human", "assistant": "gpt"}
Row = dict[str, Any]
RowMaker = Callable[[Conversation, bool, Callable[[ImagePart], str]], Row]
"""(conversation, whether only its last reply is to be learned, where a picture goes) to a row."""


def messages_row(conversation: Conversation, only_last: bool, place: Callable[[ImagePart], str]) -> Row:
    """`{"messages": [{"role", "content": [{"type": "text", "text"} | {"type": "image"}]}], "images": [path]}`.

    With `only_last` the last reply stands apart: `{"prompt": [...], "completion": [...], "images": [...]}`, of which
    TRL learns the completion.

    Source: TRL, docs/source/dataset_formats.md (vision datasets).
    """
    written = [{"role": message.role, "content": _parts(message)} for message in conversation.messages]
    turns = {"prompt": written[:-1], "completion": written[-1:]} if only_last else {"messages": written}
    return {**turns, "images": _placed(conversation, place)}


def sharegpt_row(conversation: Conversation, only_last: bool, place: Callable[[ImagePart], str]) -> Row:
    """`{"conversations": [{"from", "value"}], "system": text, "images": [path]}`.

    Nothing in the format says what is not to be learned: with `only_last`, train with `mask_history: true`.

    Source: LLaMA-Factory, data/README.md.
    """
    system, turns = _without_system(conversation)
    told = [{"from": SHAREGPT_ROLES[turn.role], "value": text_of(turn, PLACEHOLDER)} for turn in turns]
    return {"conversations": told, "system": system, "images": _placed(conversation, place)}


def swift_row(conversation: Conversation, only_last: bool, place: Callable[[ImagePart], str]) -> Row:
    """`{"messages": [{"role", "content", "loss"}], "images": [path]}`; `loss` says of each reply if it is learned.

    Source: ms-swift, docs/source_en/Customization/Custom-dataset.md.
    """
    written = []
    for message in conversation.messages:
        learnt = {"loss": is_learnt(message)} if message.role == "assistant" else {}
        written.append({"role": message.role, "content": text_of(message, PLACEHOLDER), **learnt})
    return {"messages": written, "images": _placed(conversation, place)}


def _parts(message: Message) -> list[dict[str, str]]:
    return [
        {"type": "text", "text": part.text} if isinstance(part, TextPart) else {"type": "image"}
        for part in message.parts
    ]


def _placed(conversation: Conversation, place: Callable[[ImagePart], str]) -> list[str]:
    return [place(part) for part in pictures_of(conversation.messages)]


def _without_system(conversation: Conversation) -> tuple[str, tuple[Message, ...]]:
    first = conversation.messages[0]
    assert first.role == "system", "a composed dialogue begins with its tools"
    return text_of(first, PLACEHOLDER), conversation.messages[1:]
