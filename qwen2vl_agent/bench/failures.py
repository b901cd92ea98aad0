"""Where a policy fails, and why: failed episodes are done again until they part from the bundled solution."""

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from qwen2vl_agent.agent.difference import Said, difference
from qwen2vl_agent.agent.jobs import EpisodeResult
from qwen2vl_agent.agent.picture import marked, points_of
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.schema.geometry import MODEL_GRID
from qwen2vl_agent.schema.tools import ToolCall, to_call
from qwen2vl_agent.schema.trajectory import Step
from qwen2vl_agent.trajectory.frames import FrameStore
from qwen2vl_agent.trajectory.store import frames_folder, read_episode

MOST = 100
"""Failed episodes that are looked into: half a minute."""
EXAMPLES = 3
"""Pictures of each kind of failure."""
SHOWN_WIDTH = 270
"""Pixels of a picture's width."""
RIGHT = "#16a34a"
"""Colour of the ring around where the solution goes."""
PAGE, PICTURES = "failures.md", "failures"


@dataclass(frozen=True, slots=True)
class Departure:
    """The first step of an episode that is not the solution's, on the screen that both saw."""

    episode: Path
    goal: str
    step: Step
    wanted: ToolCall
    thought: str
    """Of the solution."""
    kind: str
    """What sort of failure this is, in words."""


def write_failures(episodes: Iterable[EpisodeResult], out: Path) -> Path:
    """`failures.md`: how often each kind of failure began an episode's end, with pictures of a few."""
    failed = [episode for episode in episodes if episode.outcome == "failure"]
    looked_into = failed[:: max(1, -(-len(failed) // MOST))]
    found = [departure for episode in looked_into if (departure := first_departure(episode.folder))]
    kinds = Counter(departure.kind for departure in found)
    shutil.rmtree(out / PICTURES, ignore_errors=True)
    lines = ["# Where it fails", "", *_counts(kinds, len(failed), len(looked_into))]
    for kind, _ in kinds.most_common():
        lines += ["", f"## {kind}", ""]
        for number, departure in enumerate(_spread(d for d in found if d.kind == kind)):
            name = f"{kind.replace(' ', '-')}-{number + 1}.png"
            (out / PICTURES).mkdir(exist_ok=True)
            picture_of(departure).save(out / PICTURES / name)
            lines += _told(departure, f"{PICTURES}/{name}")
    (out / PAGE).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return out / PAGE


def first_departure(folder: Path) -> Departure | None:
    """Does an episode again beside the bundled solution; None where they never part, or the record is of no task."""
    from qwen2vl_agent.envs.register import make_env

    trajectory = read_episode(folder)
    header = trajectory.header
    if header.task == "text" or not trajectory.steps:
        return None
    env = make_env(header.device, **header.config.get("job", {}).get("env_kwargs", {}))
    try:
        env.reset(seed=header.seed, options={"task": header.task, "split": header.config["split"]})
        for step in trajectory.steps:
            decision = env.oracle()
            wanted = to_call(decision.action)
            kind = _difference(step, decision.thought, wanted, env)
            if kind:
                return Departure(folder, header.goal, step, wanted, decision.thought, kind)
            env.step(step.call)
    except ConfigError:
        return None  # there is no solution to compare with
    finally:
        env.close()
    return None


def _difference(step: Step, thought: str, wanted: ToolCall, env: Any) -> str:
    said, solution = Said(step.reply.text, step.call, step.error), Said(thought, wanted)
    device = getattr(env, "device", None)
    if device is not None:
        return difference(said, solution, device.elements(), device.frame)
    return difference(said, solution, [], None) or ("" if step.call == wanted else "other arguments")


def picture_of(departure: Departure) -> Image.Image:
    """The screen: a spot where the policy went, a ring where it should have gone."""
    with Image.open(FrameStore(frames_folder(departure.episode)).path(departure.step.frame)) as frame:
        image = frame.convert("RGB")
    image = image.resize((SHOWN_WIDTH, SHOWN_WIDTH * image.height // image.width), Image.Resampling.LANCZOS)
    image = marked(image, departure.step.call)
    brush, radius = ImageDraw.Draw(image), image.width // 16
    for x, y in points_of(departure.wanted):
        centre_x, centre_y = x * image.width / MODEL_GRID, y * image.height / MODEL_GRID
        corners = (centre_x - radius, centre_y - radius, centre_x + radius, centre_y + radius)
        brush.ellipse(corners, outline=RIGHT, width=4)
    return image


def _spread(departures: Iterable[Departure]) -> list[Departure]:
    """A few of them, of tasks as different as there are."""
    by_task: dict[str, Departure] = {}
    for departure in departures:
        by_task.setdefault(departure.episode.name.partition("-")[0], departure)
    return list(by_task.values())[:EXAMPLES]


def _counts(kinds: Counter[str], failed: int, looked_into: int) -> Iterator[str]:
    yield f"{failed} episodes failed; {looked_into} were done again beside the bundled solution. They first parted so:"
    yield ""
    yield "| what | episodes |"
    yield "| --- | ---: |"
    yield from (f"| {kind} | {count} |" for kind, count in kinds.most_common())
    yield ""
    yield "In the pictures a red spot is where the policy went, a green ring where the solution would have gone."


def _told(departure: Departure, picture: str) -> list[str]:
    said = departure.step.reply.text.split("\n")[0].replace("`", "´")
    return [
        f"* {departure.goal} (step {departure.step.index + 1}) It said: `{said}` The solution: `{departure.thought}`",
        "",
        f"  ![the screen]({picture})",
    ]
