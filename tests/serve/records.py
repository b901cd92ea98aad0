"""Episodes made up for the viewer's tests: many steps, or text that would like to be more than text."""

from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from qwen2vl_agent.schema.tools import ToolCall
from qwen2vl_agent.schema.trajectory import EpisodeHeader, Reply, Step
from qwen2vl_agent.trajectory.record import Recorder

HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">{{script}}"


def screen(number: int) -> Image.Image:
    """A phone's screen, another for each number."""
    image = Image.new("RGB", (540, 1200), (240, 240, 245))
    brush = ImageDraw.Draw(image)
    for row in range(12):
        shade = (37 * (number + row)) % 200
        brush.rectangle((20, 20 + 98 * row, 520, 100 + 98 * row), fill=(shade, 120, 200 - shade))
        brush.text((40, 50 + 98 * row), f"row {row} of screen {number}", fill="white")
    return image


def step(recorder: Recorder, index: int, **changes: Any) -> Step:
    """A plausible step."""
    place = [100 + (index * 37) % 800, 100 + (index * 91) % 800]
    values: dict[str, Any] = {
        "index": index,
        "frame": recorder.frame(screen(index)),
        "observation_text": "",
        "reply": Reply(
            text=f'Tap row {index}.\n✿FUNCTION✿: tap\n✿ARGS✿: {{"point": {place}}}',
            token_ids=(5, 6, 7),
            logprobs=(-0.01, -2.0, -0.3),
            sampling_logprobs=(-0.01, -1.5, 0.0),
            forced=(False, False, True),
            timings={"preprocess": 0.01, "vit": 0.2, "prefill": 0.1, "decode": 0.3},
            tokens={"read": 30, "cached": 400, "written": 3},
            confidence=0.2,
        ),
        "call": ToolCall("tap", {"point": place}),
        "error": "",
        "performed": {"action": "tap", "x": 1, "y": 2},
        "reward": 0.0,
        "timings": {"policy": 0.65, "perform": 0.02, "settle": 0.3, "capture": 0.1},
    }
    return Step(**{**values, **changes})


def record(folder: Path, steps: int, changes: dict[int, dict[str, Any]] | None = None, **header: Any) -> Path:
    """An episode of so many steps in `folder`; `changes` are fields of single steps that are otherwise."""
    values = {"task": "text", "goal": "Tap every row", "device": "virtual-phone", "policy": "model", "seed": 1}
    with Recorder(folder, EpisodeHeader(**{**values, **header}), sync=False) as recorder:
        for index in range(steps):
            recorder.append(step(recorder, index, **(changes or {}).get(index, {})))
        recorder.finish("success", 1.0, "all tapped")
    return folder
