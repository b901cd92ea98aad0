"""Reading recorded episodes: a folder each, with `episode.json`, `steps.jsonl` and frames."""

import os
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from qwen2vl_agent.schema.errors import RecordError
from qwen2vl_agent.schema.trajectory import EpisodeHeader, StoredFrame, Trajectory
from qwen2vl_agent.trajectory.frames import FrameStore
from qwen2vl_agent.trajectory.lines import HEADER_FILE, STEPS_FILE, context_after, parse_header, parse_step

ASIDE_FOLDER = "aside"
"""Below a root of episodes: those that were kept, but are not part of the set."""
NOT_EPISODES = frozenset({"frames", "baselines", ASIDE_FOLDER})


def read_header(folder: Path | str) -> EpisodeHeader:
    """How an episode began and, when it has, how it ended.

    Raises:
        RecordError: no episode there, damaged, or of a newer version.
    """
    return _header(Path(folder))[0]


def read_episode(folder: Path | str, prompts: bool = True) -> Trajectory:
    """A whole episode as it was recorded. A last line that was cut off in the writing is left out.

    Args:
        prompts: with the context of each step, which over hundreds of steps takes most of the time and memory.

    Raises:
        RecordError: no episode there, damaged, or of a newer version.
    """
    folder = Path(folder)
    trajectory = Trajectory(read_header(folder))
    path = folder / STEPS_FILE
    before: tuple[int, ...] = ()
    for line in whole_lines(path):
        step = parse_step(line, before if prompts else None, path)
        if step.index != len(trajectory.steps):
            raise RecordError(f"{path} goes from step {len(trajectory.steps) - 1} to step {step.index}: lines are lost")
        trajectory.steps.append(step)
        before = context_after(step, before)
    return trajectory


def whole_lines(path: Path) -> list[bytes]:
    """The lines of a file that were written to their end."""
    if not path.is_file():
        return []
    return path.read_bytes().split(b"\n")[:-1]


def frames_folder(folder: Path | str) -> Path:
    """Where an episode's frames lie."""
    folder = Path(folder)
    own = folder / "frames"
    return own if own.is_dir() else folder / _header(folder)[1]


def load_frame(folder: Path | str, frame: StoredFrame) -> Image.Image:
    """The exact pixels behind a step's frame, checked against their hash.

    Raises:
        RecordError: the frame is missing or damaged.
    """
    return FrameStore(frames_folder(folder)).get(frame)


def episodes(root: Path | str) -> list[Path]:
    """The folders of all episodes at or below `root`, in order of their names."""
    return sorted(_walk(Path(root)))


def _walk(root: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(root):
        if HEADER_FILE in files:
            folders.clear()
            yield Path(place)
        folders[:] = [name for name in folders if name not in NOT_EPISODES]


def _header(folder: Path) -> tuple[EpisodeHeader, str]:
    path = folder / HEADER_FILE
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RecordError(f"{folder} holds no episode: {HEADER_FILE} cannot be read ({error.strerror})") from error
    return parse_header(data, path)
