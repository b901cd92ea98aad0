"""What a model writes: function calls of both forms, and the actions that they ask for."""

import random
from pathlib import Path
from typing import Any

from fuzz.mutate import some_json, some_text
from fuzz.target import Check, Make, Target
from qwen2vl_agent.dialogue.lenient_json import read_json
from qwen2vl_agent.dialogue.tool_call import parse_call, render_call
from qwen2vl_agent.schema.actions import DESKTOP_ACTIONS, PHONE_ACTIONS
from qwen2vl_agent.schema.errors import ToolCallError
from qwen2vl_agent.schema.tools import ToolCall, to_action, to_call
from qwen2vl_agent.schema.trajectory import CallForm

MARKS = (
    "✿FUNCTION✿", "✿ARGS✿", "✿RESULT✿", "✿", "<tool_call>", "</tool_call>", "```json", "{", "}", "[", "]", "(", ")",
    '"', "\\", ",", ":", "\n", "True", "None", "NaN", "1e400", '"\\ud800"', "[" * 2000, "9" * 400, "'", ",]",
)  # fmt: skip
CALLS = (
    ToolCall("tap", {"point": [348, 291]}),
    ToolCall("swipe", {"start": [1, 2], "end": [500, 999], "duration_s": 0.4}),
    ToolCall("type_text", {"text": 'grüße "✿" \\ \n', "clear_first": True}),
    ToolCall("open_app", {"name": "Clock"}),
    ToolCall("press_key", {"name": "back"}),
    ToolCall("wait", {"seconds": 2.5}),
    ToolCall("done", {"status": "success", "message": ""}),
    ToolCall("click", {"point": [3, 4], "button": "right", "count": 2, "modifiers": "ctrl"}),
    ToolCall("scroll", {"point": [5, 6], "dx": -1, "dy": 3}),
)


def _reply(form: CallForm) -> Target:
    def prepare(folder: Path) -> tuple[Make, Check]:
        texts = [render_call("Tap the button.", call, form) for call in CALLS]

        def make(rng: random.Random) -> str:
            return some_text(rng, rng.choice(texts), MARKS)

        def check(text: str) -> None:
            parsed = parse_call(text, form)
            again = parse_call(render_call(parsed.thought, parsed.call, form), form)
            assert again.call == parsed.call, "a call that was read is another when it is written and read again"

        return make, check

    return Target(f"call.{form}", (ToolCallError,), prepare)


def _action(folder: Path) -> tuple[Make, Check]:
    def make(rng: random.Random) -> Any:
        call = rng.choice(CALLS)
        return some_json(rng, {"name": call.name, "arguments": call.arguments})

    def check(value: Any) -> None:
        if not isinstance(value, dict) or not isinstance(value.get("arguments"), dict):
            return
        call = ToolCall(str(value.get("name")), value["arguments"])
        action = to_action(call, (*PHONE_ACTIONS, *DESKTOP_ACTIONS))
        assert to_action(to_call(action), (type(action),)) == action

    return make, check


def _json(folder: Path) -> tuple[Make, Check]:
    seed = '{"point": (348, 291), "text": "a\\u00e9\n", "on": True, "list": [1, 2.5e3, null,], }'

    def check(text: str) -> None:
        read_json(text)

    return lambda rng: some_text(rng, seed, MARKS), check


TARGETS = (
    _reply("keyword"),
    _reply("tool_call"),
    Target("call.action", (ToolCallError,), _action),
    Target("call.json", (ValueError,), _json),
)
