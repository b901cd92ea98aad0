"""Exporting recorded episodes: the formats by name, and what became of each episode."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from qwen2vl_agent.data.exports.aitz import AitzFolder
from qwen2vl_agent.data.exports.atif import AtifFolder
from qwen2vl_agent.data.exports.dialogue_file import ROWS, DialogueFile
from qwen2vl_agent.data.exports.lerobot import LeRobotSet
from qwen2vl_agent.schema.errors import ConfigError, RecordError
from qwen2vl_agent.trajectory.store import read_episode

FORMATS = (*ROWS, "lerobot", "atif", "aitz")


class Export(Protocol):
    """An export that is being written."""

    def add(self, folder: Path) -> int:
        """Take an episode in; how many rows, frames or documents it became."""
        ...

    def close(self) -> None:
        """Write what remains."""
        ...


@dataclass(slots=True)
class Exported:
    """What was written."""

    episodes: int = 0
    rows: int = 0
    left_out: list[tuple[Path, str]] = field(default_factory=list)
    """Episodes that are not in the export, and why."""
    clips: int = 0
    """Videos of steps in it that no format has a place for: their screenshots alone are there."""


def export(
    folders: Sequence[Path],
    kind: str,
    out: Path,
    each_reply: bool = False,
    on_episode: Callable[[Path], None] = lambda folder: None,
) -> Exported:
    """Write episodes to `out` in a format.

    Raises:
        ConfigError: no such format, no episode, or `out` holds something already.
    """
    if not folders:
        raise ConfigError("there is no episode to export")
    if out.exists() and any(out.iterdir()):
        raise ConfigError(f"{out} is not empty; export into a new folder")
    out.mkdir(parents=True, exist_ok=True)
    made, done = _begin(kind, out, folders, each_reply), Exported()
    for folder in folders:
        try:
            done.rows += made.add(folder)
            done.episodes += 1
            done.clips += sum(step.clip is not None for step in read_episode(folder, prompts=False).steps)
        except RecordError as error:
            done.left_out.append((folder, str(error)))
        on_episode(folder)
    made.close()
    return done


def _begin(kind: str, out: Path, folders: Sequence[Path], each_reply: bool) -> Export:
    if each_reply and kind not in ROWS:
        raise ConfigError(f"--each-reply is for conversations ({', '.join(ROWS)}), not for {kind}")
    if kind in ROWS:
        return DialogueFile(kind, out, each_reply)
    if kind == "lerobot":
        return LeRobotSet(out, folders)
    if kind == "atif":
        return AtifFolder(out)
    if kind == "aitz":
        return AitzFolder(out)
    raise ConfigError(f"there is no format {kind!r} to export to; expected one of {', '.join(FORMATS)}")
