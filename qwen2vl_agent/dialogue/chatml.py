"""A conversation in ChatML, as a list of pieces that the encoder turns into ids.

Written by code rather than by the published Jinja template, because a template gives one string: it cannot splice ids
that a model wrote, mark targets, or keep control tokens apart from text that merely looks like them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from qwen2vl_agent.schema.messages import ImagePart, Message, TextPart, VideoPart

DEFAULT_SYSTEM = "You are a helpful assistant."
"""What a conversation without a system message begins with. Source: the published Qwen2-VL chat template."""

CHAT_TEMPLATE = (
    "{% set image_count = namespace(value=0) %}{% set video_count = namespace(value=0) %}"
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}"
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
    "<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}<|im_end|>\n"
    "{% else %}{% for content in message['content'] %}"
    "{% if content['type'] == 'image' or 'image' in content or 'image_url' in content %}"
    "{% set image_count.value = image_count.value + 1 %}"
    "{% if add_vision_id %}Picture {{ image_count.value }}: {% endif %}"
    "<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif content['type'] == 'video' or 'video' in content %}"
    "{% set video_count.value = video_count.value + 1 %}"
    "{% if add_vision_id %}Video {{ video_count.value }}: {% endif %}"
    "<|vision_start|><|video_pad|><|vision_end|>"
    "{% elif 'text' in content %}{{ content['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""Saved with a checkpoint for other software; says the same as `render`. Source: Qwen2-VL's chat_template.json."""


@dataclass(frozen=True, slots=True)
class Start:
    """`<|im_start|>`."""


@dataclass(frozen=True, slots=True)
class End:
    """`<|im_end|>`; it is left out where the model has just written it itself."""

    target: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """A stretch of text, tokenised by itself: what stands before and after never changes its tokens."""

    text: str
    target: bool = False
    looks: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """What a model wrote, by its ids."""

    token_ids: tuple[int, ...]
    target: bool = False


Piece = Start | End | Text | Written | ImagePart | VideoPart


def render(messages: Sequence[Message], add_generation_prompt: bool = True) -> list[Piece]:
    """The pieces of a conversation. With `add_generation_prompt` it ends where the assistant is to go on."""
    pieces: list[Piece] = []
    if messages and messages[0].role != "system":
        pieces += _turn(Message("system", (TextPart(DEFAULT_SYSTEM),)))
    for message in messages:
        assert message.closed or message is messages[-1], "only the last message can be open"
        pieces += _turn(message)
    if add_generation_prompt and (not messages or messages[-1].closed):
        pieces += [Start(), Text("assistant\n")]
    return pieces


def _turn(message: Message) -> list[Piece]:
    body: list[Piece] = [Text(f"{message.role}\n"), *map(_piece, message.parts)]
    # The published template makes one string of a turn. An assistant's turn is kept in its parts all the same: what a
    # model wrote after `assistant\n` or after an environment's words was never joined to them.
    pieces: list[Piece] = [Start(), *(body if message.role == "assistant" else _joined(body))]
    if message.closed:
        last = message.parts[-1] if message.parts else None
        learnt = message.role == "assistant" and isinstance(last, TextPart) and last.target
        pieces += [End(learnt), Text("\n")]
    return pieces


def _piece(part: TextPart | ImagePart | VideoPart) -> Piece:
    if not isinstance(part, TextPart):
        return part
    if part.token_ids is not None:
        return Written(part.token_ids, part.target)
    return Text(part.text, part.target, part.looks)


def _joined(pieces: Iterable[Piece]) -> Iterable[Piece]:
    """Adjacent stretches of plain text become one."""
    held = ""
    for piece in pieces:
        if isinstance(piece, Text) and not piece.target:
            held += piece.text
            continue
        if held:
            yield Text(held)
            held = ""
        yield piece
    if held:
        yield Text(held)
