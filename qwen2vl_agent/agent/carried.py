"""An episode's record as bytes, to be carried from the machine that ran it to the one that keeps it."""

from dataclasses import dataclass
from pathlib import Path

from qwen2vl_agent.trajectory.frames import write_whole
from qwen2vl_agent.trajectory.lines import HEADER_FILE, STEPS_FILE
from qwen2vl_agent.trajectory.store import frames_folder, read_episode

FRAMES = "frames"


@dataclass(frozen=True, slots=True)
class Carried:
    """A finished episode."""

    name: str
    """Of its folder."""
    header: bytes
    steps: bytes
    frames: dict[str, bytes]
    """PNG files by their names, which are hashes of their content."""


def pack_episode(folder: Path, known: frozenset[str] = frozenset()) -> Carried:
    """The record in a folder, without the frames that the other side has.

    Raises:
        RecordError: it cannot be read.
    """
    place = frames_folder(folder)
    names = {f"{f.sha256}.png" for step in read_episode(folder, prompts=False).steps for f in step.frames}
    frames = {name: (place / name).read_bytes() for name in sorted(names - known)}
    return Carried(folder.name, (folder / HEADER_FILE).read_bytes(), (folder / STEPS_FILE).read_bytes(), frames)


def unpack_episode(carried: Carried, out: Path) -> Path:
    """Write a record below `out`, frames first and its header last: it is there whole, or not at all."""
    (out / FRAMES).mkdir(parents=True, exist_ok=True)
    for name, data in carried.frames.items():
        if not (out / FRAMES / name).is_file():
            write_whole(out / FRAMES / name, data, sync=False)
    folder = out / carried.name
    folder.mkdir(exist_ok=True)
    write_whole(folder / STEPS_FILE, carried.steps, sync=False)
    write_whole(folder / HEADER_FILE, carried.header, sync=False)
    return folder
