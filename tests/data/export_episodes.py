"""Recorded episodes for tests of exports: four steps, one a mistake on purpose, one that could not be read."""

from pathlib import Path

from PIL import Image

from qwen2vl_agent.dialogue.tool_call import render_call
from qwen2vl_agent.schema.actions import Done, PressKey, Tap
from qwen2vl_agent.schema.tools import ToolCall, tool_spec
from qwen2vl_agent.schema.trajectory import EpisodeHeader, Outcome, Reply, Step
from qwen2vl_agent.trajectory.record import Recorder

TOOLS = tuple(tool_spec(kind) for kind in (Tap, PressKey, Done))
TAP, BACK, DONE = ToolCall("tap", {"point": [10, 20]}), ToolCall("press_key", {"name": "back"}), ToolCall("done")
Planned = tuple[ToolCall | None, bool, str]
CLEAN: tuple[Planned, ...] = ((TAP, True, ""), (DONE, True, ""))
MISTAKEN: tuple[Planned, ...] = (
    (BACK, False, ""),
    (None, True, "there is no function call"),
    (TAP, True, ""),
    (DONE, True, ""),
)
"""(call, whether it is to be learned, error)"""


def record(
    folder: Path,
    plan: tuple[Planned, ...] = MISTAKEN,
    outcome: Outcome = "success",
    size: tuple[int, int] = (56, 84),
    by_model: bool = True,
    shade: int = 0,
    goal: str = "Go on.",
    policy: str = "model",
) -> Path:
    """An episode in `folder`; the screens of different `shade` are different ones."""
    header = EpisodeHeader(
        task="settings.toggle",
        goal=goal,
        device="virtual-phone",
        policy=policy,
        seed=3,
        tools=tuple(tool.name for tool in TOOLS),
        config={"agent": {"detail": "bare"}},
    )
    with Recorder(folder, header, sync=False) as recorder:
        for index, (call, target, error) in enumerate(plan):
            text = render_call(f"Step {index}.", call, "keyword") if call else "I do not know."
            ids = tuple(range(100, 103)) if by_model else ()
            reply = Reply(text.removesuffix("\n✿RESULT✿"), ids, (-0.5,) * len(ids), prompt_ids=ids, target=target)
            frame = recorder.frame(Image.new("RGB", size, (40 * index, shade, 90)))
            performed = None if error else {"action": "touch"}
            reward = float(outcome == "success" and index == len(plan) - 1)
            recorder.append(Step(index, frame, "", reply, call, error, performed, reward))
        recorder.finish(outcome)
    return folder
