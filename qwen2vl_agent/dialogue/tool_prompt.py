"""The system message that tells a model which functions it has and how to call them."""

import json
from collections.abc import Sequence
from typing import Literal

from qwen2vl_agent.dialogue.tool_call import ARGS, CLOSE, FUNCTION, OPEN, RESULT, RETURN
from qwen2vl_agent.schema.tools import ToolSpec
from qwen2vl_agent.schema.trajectory import CallForm

Language = Literal["en", "zh"]
Detail = Literal["full", "brief", "bare"]

_TEXTS: dict[Language, dict[str, str]] = {
    "en": {
        "role": "You carry out a task on a screen by calling functions, one at a time. "
        "After each call you are shown the new screen.",
        "points": "A point is [x, y], two whole numbers from 0 to 999, whatever the size of the screen: "
        "x from its left edge to its right, y from its top to its bottom.",
        "tools": "# Functions",
        "parameters": "Parameters:",
        "how": "# How to call",
        "keyword": "First write what you want to do and why, in one sentence. Then call one function:",
        "name": "the function's name, one of {names}",
        "args": "its arguments, a JSON object",
        "result": "what came of it; it is given to you, do not write it yourself",
        "return": "what you make of it, and the next call",
        "end": "When the task is done, call done; when it asks for an answer, call answer.",
        "notes": "Begin with a plan: keep it with note. Note what you have done and what later steps need, too: old "
        "screens go, your notes stay.",
        "tagged": "The functions' signatures stand in <tools></tools>:",
        "call": "First write what you want to do and why, in one sentence. Then call one function, as a JSON object:",
    },
    "zh": {
        "role": "你通过调用函数在屏幕上完成任务，每次调用一个函数。每次调用之后，你会看到新的屏幕。",
        "points": "点写作 [x, y]，是 0 到 999 的两个整数，与屏幕尺寸无关：x 从左到右，y 从上到下。",
        "tools": "# 函数",
        "parameters": "参数：",
        "how": "# 如何调用",
        "keyword": "先用一句话写出你要做什么、为什么，然后调用一个函数：",
        "name": "函数名称，必须是{names}之一",
        "args": "函数的参数，一个JSON对象",
        "result": "函数的结果，由环境给出，不要自己写",
        "return": "根据结果得出的结论，以及下一次调用",
        "end": "任务完成时调用 done；任务要求回答时调用 answer。",
        "notes": "先制定计划，并用 note 记下。也要用 note 记下进展和以后需要的内容：旧的屏幕会消失，笔记会保留。",
        "tagged": "函数的签名写在<tools></tools>中：",
        "call": "先用一句话写出你要做什么、为什么，然后以JSON对象调用一个函数：",
    },
}
_BARE: dict[Language, str] = {"en": "Do the task.", "zh": "完成任务。"}
_BRIEF: dict[Language, str] = {
    "en": "Do the task. Call one function a step. A point is [x, y] in [0, 1000).",
    "zh": "完成任务。每步调用一个函数。点 [x, y] 在 [0, 1000) 内。",
}


def tool_prompt(
    tools: Sequence[ToolSpec],
    form: CallForm,
    language: Language = "en",
    detail: Detail = "full",
    asks_for_notes: bool = False,
) -> str:
    """The system message: tools, the form of a call, and how points are written.

    `brief` names each tool in one short line, for small models with little context; `bare` leaves the tools out, for
    models that were taught one fixed set of them. Only `full` can ask for notes.
    """
    if detail == "bare":
        return _BARE[language]
    if detail == "brief":
        return "\n".join([_BRIEF[language], *map(signature, tools), *_brief_form(form)])
    texts = _TEXTS[language]
    body = _keyword_body(tools, texts) if form == "keyword" else _tagged_body(tools, texts)
    return "\n\n".join([texts["role"], *body, _advice(tools, texts, asks_for_notes)])


def task_prompt(tools: Sequence[ToolSpec], language: Language = "en", asks_for_notes: bool = False) -> str:
    """The system message for a model that is told of its tools in another way: the task, points, and the end."""
    texts = _TEXTS[language]
    return f"{texts['role']}\n\n{_advice(tools, texts, asks_for_notes)}"


def _advice(tools: Sequence[ToolSpec], texts: dict[str, str], asks_for_notes: bool) -> str:
    names = {tool.name for tool in tools}
    notes = [texts["notes"]] if asks_for_notes and "note" in names else []
    ends = [texts["end"]] if {"done", "answer"} <= names else []
    return "\n".join([texts["points"], *notes, *ends])


def signature(tool: ToolSpec) -> str:
    """`swipe(start, end, duration_s?)`: the arguments by name, those that may be left out with a question mark."""
    required = tool.parameters.get("required", [])
    names = (name if name in required else f"{name}?" for name in tool.parameters.get("properties", {}))
    return f"{tool.name}({', '.join(names)})"


def _brief_form(form: CallForm) -> list[str]:
    if form == "keyword":
        return [f"{FUNCTION}: name", f"{ARGS}: {{}}", RESULT, RETURN]
    return [f'{OPEN}{{"name": "", "arguments": {{}}}}{CLOSE}']


def _keyword_body(tools: Sequence[ToolSpec], texts: dict[str, str]) -> list[str]:
    listed = [f"{tool.name}: {tool.description} {texts['parameters']} {_json(tool.parameters)}" for tool in tools]
    form = [
        texts["keyword"],
        "",
        f"{FUNCTION}: {texts['name'].format(names='[' + ', '.join(tool.name for tool in tools) + ']')}",
        f"{ARGS}: {texts['args']}",
        f"{RESULT}: {texts['result']}",
        f"{RETURN}: {texts['return']}",
    ]
    return [texts["tools"], *listed, texts["how"], "\n".join(form)]


def _tagged_body(tools: Sequence[ToolSpec], texts: dict[str, str]) -> list[str]:
    lines = [
        _json(
            {
                "type": "function",
                "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
            }
        )
        for tool in tools
    ]
    listed = "\n".join([texts["tagged"], "<tools>", *lines, "</tools>"])
    example = '{"name": <function-name>, "arguments": <args-json-object>}'
    return [texts["tools"], listed, texts["how"], "\n".join([texts["call"], OPEN, example, CLOSE])]


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
