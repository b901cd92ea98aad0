"""ATIF documents: agents' trajectories as Harbor and others write them, ours among them."""

from collections.abc import Iterator
from typing import Any

from qwen2vl_agent.data.example import Example
from qwen2vl_agent.data.readers.media import MediaRoot
from qwen2vl_agent.data.readers.tools import with_tools
from qwen2vl_agent.data.readers.turns import as_list
from qwen2vl_agent.dialogue.tool_call import neutral, render_call
from qwen2vl_agent.schema.errors import RecordError
from qwen2vl_agent.schema.messages import Message, Part, TextPart
from qwen2vl_agent.schema.tools import ToolCall

OPENING, CLOSING = "<tool_response>\n", "\n</tool_response>"


def atif(record: dict[str, Any], root: MediaRoot, source: str) -> Example:
    """A document as a conversation in the `<tool_call>` form; what the agent says is learnt.

    A step that its writer marked as not to be learned (`extra.learnt`) is context. Where the document defines its
    functions they are told in place of the system's message, which may speak of another way to call them. The recorded
    token ids are of a tokenizer that the document does not tell, and are left.

    Source: Harbor, the Agent Trajectory Interchange Format v1.7 (`harbor/models/trajectories/`).

    Raises:
        RecordError: it is no such document, or nothing in it is to be learnt.
    """
    if not str(record.get("schema_version", "")).startswith("ATIF-v1."):
        raise RecordError(f"schema_version is {record.get('schema_version')!r}; expected ATIF-v1.x")
    tools = record["agent"].get("tool_definitions")
    messages = [
        turn for step in record["steps"] for turn in _turns(step, root) if not (tools and turn.role == "system")
    ]
    example = Example(with_tools(messages, tools), source)
    if not example.has_targets:
        raise RecordError("nothing that the agent says is to be learnt")
    return example


def _turns(step: dict[str, Any], root: MediaRoot) -> Iterator[Message]:
    """A step's own turn, and the environment's answer to it."""
    if step["source"] in ("system", "user"):
        yield Message(step["source"], tuple(_parts(step["message"], root)))
        return
    if step["source"] != "agent":
        raise RecordError(f"a step's source is {step['source']!r}; expected system, user or agent")
    learnt = (step.get("extra") or {}).get("learnt", True) is not False
    text = _said(step)
    if text:
        yield Message("assistant", (TextPart(text, target=learnt),))
    for result in as_list((step.get("observation") or {}).get("results")):
        parts = _parts(result.get("content") or "", root)
        yield Message("user", (TextPart(OPENING), *parts, TextPart(CLOSING)))


def _said(step: dict[str, Any]) -> str:
    thought = "\n".join(text for text in (step.get("reasoning_content"), step.get("message")) if text)
    calls = [ToolCall(call["function_name"], call["arguments"]) for call in as_list(step.get("tool_calls"))]
    written = [render_call(thought if place == 0 else "", call, "tool_call") for place, call in enumerate(calls)]
    return "\n".join(written) or neutral(thought)


def _parts(content: Any, root: MediaRoot) -> list[Part]:
    """A text, or texts and images."""
    if isinstance(content, str):
        return [TextPart(neutral(content))] if content else []
    return [_part(part, root) for part in content]


def _part(part: dict[str, Any], root: MediaRoot) -> Part:
    if part["type"] == "text":
        return TextPart(neutral(part["text"]))
    if part["type"] == "image":
        return root.image(part["source"])
    raise RecordError(f"a part has the type {part['type']!r}; expected text or image")
