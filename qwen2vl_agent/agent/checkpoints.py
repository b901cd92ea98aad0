"""Where the graph keeps its checkpoints while an episode is unfinished."""

import contextlib
from pathlib import Path

CHECKPOINTS = "checkpoints.sqlite"
"""In the episode's folder."""


def forget(folder: Path) -> None:
    """Take an episode's checkpoints away: its record says it all."""
    for end in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            (folder / f"{CHECKPOINTS}{end}").unlink()
