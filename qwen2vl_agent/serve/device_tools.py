"""A device's actions as tools for other programs: each call is judged, done, and answered with the screen after it."""

import base64
from dataclasses import dataclass
from typing import Any

from qwen2vl_agent.agent.rules import Judge, Rules
from qwen2vl_agent.schema.actions import Answer, AskUser, Done, Note
from qwen2vl_agent.schema.errors import ToolCallError
from qwen2vl_agent.schema.tools import ToolCall, ToolSpec, to_action, tool_spec
from qwen2vl_agent.trajectory.png import png_bytes

LOOK = ToolSpec("screenshot", "Look at the screen.", {"type": "object", "properties": {}, "required": []})
TALK = (Note, AskUser, Answer, Done)
"""Actions of the agent's own dialogue, which touch no device."""
POINTS = (
    "A point is [x, y], two whole numbers from 0 to 999, whatever the size of the screen: x from its left edge to its "
    "right, y from its top to its bottom. Every answer ends with the screen as it is then."
)
FREE_TASK = "Do what is asked."


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of a call."""

    text: str
    screen: bytes
    """PNG."""
    error: bool = False

    @property
    def screen_base64(self) -> str:
        """The screen as protocols of text carry it."""
        return base64.b64encode(self.screen).decode()


class DeviceTools:
    """The tools of one device."""

    def __init__(self, env: Any, rules: Rules | None = None) -> None:
        self._env = env
        self._actions = tuple(kind for kind in env.tools if kind not in TALK)
        self._judge = Judge(rules or Rules(), self._app_in_front)
        env.reset(options={"task": FREE_TASK})

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """The tools as they may be called now."""
        mine = {tool_spec(kind).name for kind in self._actions}
        return (LOOK, *(spec for spec in self._env.legal_tools if spec.name in mine))

    def call(self, name: str, arguments: dict[str, Any] | None) -> Answered:
        """Do a call. What cannot or may not be done is an answer too.

        Raises:
            DeviceLost: the device does not answer.
        """
        if name == LOOK.name:
            self._env.look_again()
            return self._answered("", False)
        call = ToolCall(name, arguments or {})
        try:
            action = to_action(call, self._actions)
        except ToolCallError as error:
            return self._answered(str(error), True)
        judgement = self._judge.judge(call, action, somebody=False)
        if judgement.way != "auto":
            return self._answered(f"this call is not allowed: {judgement.reason}", True)
        self._judge.note(call, judgement.rule)
        info = self._env.step(action)[-1]
        return self._answered(info["action_error"], bool(info["action_error"]))

    def _app_in_front(self) -> str:
        """The package in front, for rules that ask for it; nothing where the device does not know."""
        foreground = getattr(self._env.device, "foreground", None)
        return str(foreground()[0]) if foreground is not None else ""

    def _answered(self, told: str, error: bool) -> Answered:
        seen = self._env.observation
        text = " ".join(filter(None, (told, seen.text if not error else ""))) or "done"
        return Answered(text, png_bytes(seen.image.convert("RGB")), error)
