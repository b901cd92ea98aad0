"""A tiny environment for tests: a corridor whose screen shows how far one has walked. Tap the right half to go on."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from PIL import Image

from qwen2vl_agent.envs.action_space import ActionSpace
from qwen2vl_agent.schema.actions import AskUser, Done, PressKey, Swipe, Tap, TypeText, Wait
from qwen2vl_agent.schema.errors import ActionRejected, DeviceLost
from qwen2vl_agent.schema.geometry import Frame, Point
from qwen2vl_agent.schema.observation import Element, Observation

FRAME = Frame("device", 56, 112)


@dataclass
class Decision:
    thought: str
    action: Any


class Corridor:
    """Three doors, then `done`."""

    tools = (Tap, Swipe, TypeText, PressKey, Wait, AskUser, Done)
    max_steps = 20

    def __init__(self, text_task: bool = False, lose_at: int | None = None, interrupt_at: int | None = None) -> None:
        self.device = SimpleNamespace(frame=FRAME, elements=self.elements)
        self.device_name, self.split = "virtual-phone", "test"
        self.action_space = ActionSpace(self.tools)
        self.episode_seed = 0
        self.task = None if text_task else SimpleNamespace(id="corridor.walk", unseen=True)
        self.goal = "Walk to the end."
        self.received: list[Any] = []
        self._lose_at, self._interrupt_at = lose_at, interrupt_at
        self._place = 0
        self._error = ""

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        self.options = options
        self.episode_seed = 0 if seed is None else seed
        self._place = 0
        self.received = []

    @property
    def observation(self) -> Observation:
        image = Image.new("RGB", (FRAME.width, FRAME.height), (40 * self._place, 80, 120))
        return Observation(image, Frame("screenshot", FRAME.width, FRAME.height), self._error)

    def elements(self) -> list[Element]:
        return [Element("left", "button", (0, 0, 28, 112)), Element("right", "button", (28, 0, 56, 112))]

    def oracle(self) -> Decision:
        if self._place < 3:
            return Decision("Go on.", Tap(point=Point(42, 56, FRAME)))
        return Decision("Done.", Done())

    def step(self, action: Any) -> tuple[None, float, bool, bool, dict[str, Any]]:
        if self._lose_at == len(self.received):
            raise DeviceLost("the corridor does not answer")
        if self._interrupt_at == len(self.received):
            self._interrupt_at = None
            raise KeyboardInterrupt
        self.received.append(action)
        info: dict[str, Any] = {
            "performed": None,
            "action_error": "",
            "perform_s": 0.0,
            "settle_s": 0.0,
            "capture_s": 0.0,
        }
        try:
            info["performed"] = self._perform(action)
        except ActionRejected as error:
            info["action_error"] = str(error)
        self._error = info["action_error"]
        done = isinstance(action, Done)
        reward = 1.0 if done and self._place == 3 and action.status == "success" else 0.0
        return None, reward, done, len(self.received) >= self.max_steps, info

    def _perform(self, action: Any) -> dict[str, Any]:
        if isinstance(action, TypeText):
            raise ActionRejected("no field has the focus")
        if isinstance(action, Tap):
            point = action.point.to(FRAME)
            self._place = min(3, self._place + 1) if point.x >= 28 else max(0, self._place - 1)
            return {"tap": [point.x, point.y]}
        return {}


class Says:
    """A policy that says the given texts, the last one for ever."""

    name = "model"

    def __init__(self, *texts: str) -> None:
        self._texts = texts
        self.contexts: list[Any] = []

    def begin(self, seed: int | None) -> None:
        self.seed = seed

    def reply(self, context: Any) -> Any:
        from qwen2vl_agent.schema.trajectory import Reply

        self.contexts.append(context)
        return Reply(self._texts[min(context.index, len(self._texts) - 1)])


def call(name: str, arguments: str = "{}", thought: str = "Hm.") -> str:
    """A reply in the keyword form."""
    return f"{thought}\n✿FUNCTION✿: {name}\n✿ARGS✿: {arguments}"
