"""Dialogues: LLaVA-style JSON, ShareGPT, and messages as ms-swift and TRL have them."""

import json
from dataclasses import replace
from typing import Any

from qwen2vl_agent.data.example import Example
from qwen2vl_agent.data.readers.media import MediaRoot
from qwen2vl_agent.data.readers.tools import with_tools
from qwen2vl_agent.data.readers.turns import Pictures, as_list, entry, lead, turn
from qwen2vl_agent.model.image_source import picture_size
from qwen2vl_agent.schema.errors import RecordError
from qwen2vl_agent.schema.geometry import MODEL_GRID
from qwen2vl_agent.schema.messages import ImagePart, Message, Part, TextPart

BOX_PLACEHOLDERS = ("<ref-object>", "<bbox>")


def llava(record: dict[str, Any], root: MediaRoot, source: str) -> Example:
    """`{"image": name | [names], "video": …, "conversations": [{"from": "human", "value": "<image>\\n…"}, …]}`.

    Source: LLaVA, docs/Finetune_Custom_Data.md.
    """
    pictures = _pictures(record, root)
    turns = as_list(record.get("conversations"))
    texts = [entry(item, "value") for item in turns if entry(item, "from") != "gpt"]
    before = pictures.unplaced([text for text in texts if isinstance(text, str)])
    messages = [turn(entry(item, "from"), entry(item, "value"), pictures, tight=True) for item in turns]
    return _checked(lead(messages, before), source)


def sharegpt(record: dict[str, Any], root: MediaRoot, source: str) -> Example:
    """`{"conversations": [{"from": …, "value": …}], "system": …, "tools": …, "images": […], "videos": […]}`.

    With `function_call` and `observation` turns. Source: LLaMA-Factory, data/README.md.
    """
    system = record.get("system")
    made = llava(record, root, source)
    if system and made.messages[0].role != "system":
        made.messages.insert(0, Message("system", (TextPart(system),)))
    return replace(made, messages=with_tools(made.messages, record.get("tools")))


def messages(record: dict[str, Any], root: MediaRoot, source: str) -> Example:
    """`{"messages": [{"role": …, "content": text | parts, "tool_calls": …}], "tools": …, "images": […], "objects": …}`.

    Text may have `<image>`, `<video>`, `<ref-object>` and `<bbox>`; a part `{"type": "image"}` without a picture takes
    the next of `images`; `"loss": false` leaves a reply out of what is learnt; `prompt` and `completion` are two parts
    of one conversation, of which the second is learnt.

    Source: ms-swift, docs/Customization/Custom-dataset; TRL, docs/dataset_formats.
    """
    pictures = _pictures(record, root)
    asked, told = _turns(record.get("prompt"), "user"), _turns(record.get("completion"), "assistant")
    turns = as_list(record.get("messages")) or [item | {"loss": False} for item in asked] + told
    texts = [text for item in turns for text in _texts(item)]
    before = pictures.unplaced(texts)
    objects = _Objects(record.get("objects"), before)
    made = [_message(item, pictures, objects) for item in turns]
    return _checked(with_tools(lead(made, before), record.get("tools")), source)


def _message(item: Any, pictures: Pictures, objects: "_Objects") -> Message:
    role, content = entry(item, "role"), item.get("content")
    learnt = item.get("loss", True) is not False
    calls = "\n".join(map(_call, as_list(item.get("tool_calls"))))
    if isinstance(content, str):
        said = "\n".join(text for text in (content.strip(), calls) if text) if calls else content
        return objects.placed(turn(role, said, pictures, learnt=learnt))
    made: list[Part] = []
    for part in as_list(content):
        made += _part(role, part, pictures, learnt)
    if calls:
        made += [TextPart(calls, target=learnt)]
    known = turn(role, "", pictures).role
    return objects.placed(Message(known, tuple(made)))


def _part(role: str, part: Any, pictures: Pictures, learnt: bool) -> list[Part]:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind == "text":
        return list(turn(role, entry(part, "text"), pictures, learnt=learnt).parts)
    if kind not in ("image", "image_url", "video", "video_url"):
        raise RecordError(f"a part has the type {kind!r}; expected text, image or video")
    plain = kind.removesuffix("_url")
    value = part.get(kind) or part.get(plain) or part.get("url") or part.get("path")
    if value is None:
        return [pictures.next(plain)]
    return [pictures.root.image(value) if plain == "image" else pictures.root.video(value, float(part.get("fps", 2)))]


def _call(call: Any) -> str:
    function = call.get("function", call) if isinstance(call, dict) else {}
    arguments = function.get("arguments", {})
    arguments = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return f'<tool_call>\n{{"name": "{entry(function, "name")}", "arguments": {arguments}}}\n</tool_call>'


class _Objects:
    """What `<ref-object>` and `<bbox>` stand for: names and boxes, in order, boxes in pixels of their picture."""

    def __init__(self, objects: Any, before: list[Part]) -> None:
        objects = objects or {}
        self._names = list(objects.get("ref") or [])
        self._boxes = list(objects.get("bbox") or [])
        self._kind = objects.get("bbox_type", "real")
        self._of = list(objects.get("image_id") or [])
        self._sizes = [_size(part) for part in before if isinstance(part, ImagePart)] if objects else []

    def placed(self, message: Message) -> Message:
        """The message with its placeholders filled in."""
        if not self._names and not self._boxes:
            return message
        parts: list[Part] = []
        for part in message.parts:
            if isinstance(part, ImagePart):
                self._sizes.append(_size(part))
            parts.append(TextPart(self._filled(part.text), target=part.target) if isinstance(part, TextPart) else part)
        return Message(message.role, tuple(parts))

    def _filled(self, text: str) -> str:
        for placeholder, rest in zip(BOX_PLACEHOLDERS, (self._names, self._boxes), strict=True):
            pieces = text.split(placeholder)
            if len(pieces) - 1 > len(rest):
                raise RecordError(f"more {placeholder} placeholders than objects")
            text = pieces[0]
            for piece in pieces[1:]:
                value = rest.pop(0)
                text += (self._name(value) if rest is self._names else self._box(value)) + piece
        return text

    def _name(self, name: str) -> str:
        return f"<|object_ref_start|>{name}<|object_ref_end|>"

    def _box(self, box: list[float]) -> str:
        """Source: technical report §2.2 (visual grounding), coordinates in [0, 1000)."""
        if len(box) not in (2, 4) or not self._sizes:
            raise RecordError(f"the box {box} needs two or four numbers and a picture before it")
        number = self._of.pop(0) if self._of else 0
        width, height = (1.0, 1.0) if self._kind == "norm1" else self._sizes[min(number, len(self._sizes) - 1)]
        scaled = [min(MODEL_GRID - 1, int(v / side * MODEL_GRID)) for v, side in zip(box, (width, height) * 2)]  # noqa: B905
        points = [f"({x},{y})" for x, y in zip(scaled[::2], scaled[1::2], strict=True)]
        return f"<|box_start|>{','.join(points)}<|box_end|>"


def _size(part: ImagePart) -> tuple[float, float]:
    width, height = picture_size(part.image)
    return float(width), float(height)


def _pictures(record: dict[str, Any], root: MediaRoot) -> Pictures:
    images = as_list(record.get("images")) or as_list(record.get("image"))
    return Pictures(root, images, as_list(record.get("videos")) or as_list(record.get("video")))


def _turns(value: Any, role: str) -> list[dict[str, Any]]:
    """A prompt or completion: a text, or turns."""
    return [{"role": role, "content": value}] if isinstance(value, str) else as_list(value)


def _texts(item: Any) -> list[str]:
    """Texts of a turn that may have placeholders; a part that is one counts as its text."""
    if not isinstance(item, dict):
        return []
    content = item.get("content")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else as_list(content)
    return [_placeholder(part) for part in parts if isinstance(part, dict)] if item.get("role") != "assistant" else []


def _placeholder(part: dict[str, Any]) -> str:
    kind = part.get("type")
    if kind in ("image", "video"):
        return "" if part.get(kind) or part.get("url") or part.get("path") else f"<{kind}>"
    return str(part.get("text") or "")


def _checked(made: list[Message], source: str) -> Example:
    if not any(message.role == "assistant" for message in made):
        raise RecordError("no turn is the assistant's: there is nothing to learn")
    example = Example(made, source)
    if not example.has_targets:
        raise RecordError("nothing that the assistant says is to be learnt")
    return example
