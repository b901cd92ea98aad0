"""The functions that a record lists beside its conversation, put into words where the model reads them."""

import json
from typing import Any

from qwen2vl_agent.data.readers.turns import as_list
from qwen2vl_agent.schema.errors import RecordError
from qwen2vl_agent.schema.messages import Message, TextPart

TOOLS = """# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
{}
</tools>

For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:
<tool_call>
{{"name": <function-name>, "arguments": <args-json-object>}}
</tool_call>"""
"""Source: the chat template of Qwen2.5; Qwen2-VL's own has no words for functions."""


def with_tools(messages: list[Message], tools: Any) -> list[Message]:
    """The conversation whose system message lists `tools`: function signatures, or the JSON text of them.

    One whose system message has a list of them already stays as it is.

    Raises:
        RecordError: they are no list of objects.
    """
    try:
        listed = json.loads(tools) if isinstance(tools, str) and tools.strip() else tools
    except ValueError as error:
        raise RecordError(f"the tools are no JSON: {error}") from error
    listed = as_list(listed or None)
    if not all(isinstance(tool, dict) for tool in listed):
        raise RecordError("the tools are no list of functions")
    system = messages[0] if messages and messages[0].role == "system" else None
    if not listed or (system is not None and "<tools>" in _text(system)):
        return messages
    told = TOOLS.format("\n".join(json.dumps(tool, ensure_ascii=False) for tool in listed))
    if system is None:
        return [Message("system", (TextPart(told),)), *messages]
    return [Message("system", (*system.parts, TextPart(f"\n\n{told}"))), *messages[1:]]


def _text(message: Message) -> str:
    return "".join(part.text for part in message.parts if isinstance(part, TextPart))
