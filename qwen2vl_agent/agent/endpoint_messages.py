"""An episode as the messages of OpenAI's API, in the ways that different servers understand. Pure functions.

inside     user: goal, screen   assistant: thought, call   tool: screen   …        `qwen2vl-agent serve`
beside     user: goal, screen   assistant: thought, call   tool: words    user: screen   …        with tools
as text    user: goal, screen   assistant: thought, call as text          user: screen   …        without tools
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

from qwen2vl_agent.agent.policy import Context
from qwen2vl_agent.dialogue.compose import Turn
from qwen2vl_agent.dialogue.earlier import Past, in_view
from qwen2vl_agent.dialogue.lenient_json import write_json
from qwen2vl_agent.dialogue.memory import TurnCost, first_kept
from qwen2vl_agent.dialogue.tool_call import neutral, parse_call
from qwen2vl_agent.dialogue.tool_prompt import task_prompt, tool_prompt
from qwen2vl_agent.schema.errors import ConfigError, ToolCallError
from qwen2vl_agent.schema.tools import ToolSpec
from qwen2vl_agent.schema.trajectory import CallForm

Way = Literal["inside", "required", "tools", "schema", "text"]
"""`inside` and `text` as above; `required` and `tools` are both `beside`; `schema` is text whose form is enforced."""
WAYS: tuple[Way, ...] = ("required", "tools", "schema", "text")
"""For servers that are not ours, the best first: each is tried until the server takes it."""
THOUGHT = "thought"
THOUGHT_SCHEMA = {"type": "string", "description": "what you want to do and why, in one sentence"}
Link = Callable[[Any], str]
"""A data URL of a screen."""


def messages_for(context: Context, way: Way, link: Link) -> list[dict[str, Any]]:
    """The conversation; the model is to go on at its end. Old screens go as `max_frames` of the dialogue says.

    Raises:
        ConfigError: the environment shows videos, for which the API has no part.
    """
    if context.observation.clip is not None:
        raise ConfigError(
            "a model behind an API sees screenshots only; leave out --observe, or give a folder or hub id"
        )
    past = with_screens_in_view(context)
    turns = past.turns
    looked = context.observation
    shown = [*((turn.image, turn.observation_text) for turn in turns), (looked.image, looked.text)]
    dialogue = context.dialogue
    goal = {"type": "text", "text": f"{dialogue.goal}\n{past.earlier}"}
    first = [goal, *_content(*shown[0], link, lead="\n" if shown[0][0] is not None else "")]
    messages: list[dict[str, Any]] = [{"role": "user", "content": first}]
    if way != "inside":
        messages.insert(0, {"role": "system", "content": system_text(context, way)})
    for index, (turn, (image, text)) in enumerate(zip(turns, shown[1:], strict=True)):
        messages += _exchange(turn, f"step_{index}", image, text, dialogue.form, way, link)
    return messages


def system_text(context: Context, way: Way) -> str:
    """What a model that is not ours is told first."""
    dialogue = context.dialogue
    if way in ("required", "tools"):
        return task_prompt(dialogue.tools, dialogue.language, dialogue.memory != "none")
    return tool_prompt(dialogue.tools, "tool_call", dialogue.language, "full", dialogue.memory != "none")


def tools_for(tools: Sequence[ToolSpec], way: Way) -> list[dict[str, Any]]:
    """The tools as a request names them.

    Where a call is required, nothing stands before it, so that it has a place for the thought inside.
    """
    told = [with_thought(tool) if way == "required" else tool for tool in tools]
    return [
        {"type": "function", "function": {"name": t.name, "description": t.description, "parameters": t.parameters}}
        for t in told
    ]


def with_thought(tool: ToolSpec) -> ToolSpec:
    """The tool with one more argument before the others."""
    parameters = {
        **tool.parameters,
        "properties": {THOUGHT: THOUGHT_SCHEMA, **tool.parameters.get("properties", {})},
        "required": [THOUGHT, *tool.parameters.get("required", [])],
    }
    return ToolSpec(tool.name, tool.description, parameters)


def call_schema(tools: Sequence[ToolSpec]) -> dict[str, Any]:
    """A JSON schema of a thought and a call, for servers that write to one."""
    calls = [
        {
            "type": "object",
            "properties": {THOUGHT: THOUGHT_SCHEMA, "name": {"const": tool.name}, "arguments": tool.parameters},
            "required": [THOUGHT, "name", "arguments"],
            "additionalProperties": False,
        }
        for tool in tools
    ]
    return {"anyOf": calls}


def with_screens_in_view(context: Context) -> Past:
    """The past, of which screens go as `max_frames` says (`dialogue/memory.py`, but for the tokens)."""
    if context.dialogue.max_frames is None:
        return Past(context.turns)
    costs = [TurnCost(0, 0)] * (len(context.turns) + 1)
    told, seen = first_kept(costs, 0, replace(context.dialogue, max_context_tokens=None))
    return in_view(context.dialogue, context.turns, told, seen)


def _exchange(
    turn: Turn, call_id: str, image: Any, text: str, form: CallForm, way: Way, link: Link
) -> list[dict[str, Any]]:
    """A reply and what it led to."""
    told = "\n".join(filter(None, (turn.result_text, text)))
    try:
        parsed = parse_call(turn.reply_text, form)
    except ToolCallError:
        return [{"role": "assistant", "content": turn.reply_text}, _user(_content(image, told, link))]
    arguments = parsed.call.arguments
    if way in ("schema", "text"):
        said = as_json(parsed.thought, parsed.call.name, arguments) if way == "schema" else turn.reply_text
        return [{"role": "assistant", "content": said}, _user(_content(image, told, link))]
    if way == "required":
        arguments = {THOUGHT: parsed.thought, **arguments}
    function = {"name": parsed.call.name, "arguments": write_json(arguments)}
    reply: dict[str, Any] = {
        "role": "assistant",
        "content": parsed.thought if way != "required" else "",
        "tool_calls": [{"id": call_id, "type": "function", "function": function}],
    }
    if way == "inside":
        if turn.reply_token_ids is not None:
            reply["token_ids"] = list(turn.reply_token_ids)
        return [reply, {"role": "tool", "tool_call_id": call_id, "content": _content(image, told, link)}]
    result = {"role": "tool", "tool_call_id": call_id, "content": turn.result_text or "done"}
    return [reply, result, _user(_content(image, text, link))]


def as_json(thought: str, name: str, arguments: dict[str, Any]) -> str:
    """A reply in the form of `call_schema`."""
    return write_json({THOUGHT: thought, "name": name, "arguments": arguments})


def _user(content: list[dict[str, Any]]) -> dict[str, Any]:
    return {"role": "user", "content": content or [{"type": "text", "text": "(no screen)"}]}


def _content(image: Any, text: str, link: Link, lead: str = "") -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    if image is not None:
        parts.append({"type": "image_url", "image_url": {"url": link(image)}})
    return [*parts, {"type": "text", "text": lead + neutral(text)}] if text else parts
