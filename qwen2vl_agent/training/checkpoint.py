"""Checkpoints that are whole or not there: written aside, then renamed.

`<out>/checkpoints/step-00001200/` is a model folder that `Qwen2VL.from_pretrained` reads, with the trainer's own state
(`trainer.pt`) and the resolved config (`train.json`) beside the weights.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch

from qwen2vl_agent.schema.errors import CheckpointError

STATE_FILE = "trainer.pt"
CONFIG_FILE = "train.json"
DRAFT = ".draft-"


class Checkpoints:
    """The checkpoints of one run, the last few of which are kept."""

    def __init__(self, root: Path, keep: int) -> None:
        self._root = root
        self._keep = keep

    def all(self) -> list[Path]:
        """The complete checkpoints, oldest first."""
        return sorted(path for path in self._root.glob("step-*") if (path / STATE_FILE).is_file())

    def latest(self) -> Path | None:
        """The newest complete checkpoint, if there is any."""
        found = self.all()
        return found[-1] if found else None

    def save(self, step: int, state: dict[str, Any], config: dict[str, Any], *parts: Any) -> Path:
        """Write one; each of `parts` (the model, a processor) is asked to `save_pretrained` itself into it."""
        final = self._root / f"step-{step:08d}"
        if (final / STATE_FILE).is_file():
            return final
        self._root.mkdir(parents=True, exist_ok=True)
        for left_over in self._root.glob(DRAFT + "*"):
            shutil.rmtree(left_over)
        draft = self._root / f"{DRAFT}{step:08d}"
        draft.mkdir()
        for part in parts:
            part.save_pretrained(draft)
        (draft / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", "utf-8")
        torch.save(state, draft / STATE_FILE)
        _sync(draft)
        os.replace(draft, final)
        _sync_folder(self._root)
        for old in self.all()[: -self._keep]:
            self._remove(old)
        return final

    def _remove(self, folder: Path) -> None:
        """Out of sight first: a checkpoint half deleted must not look like one."""
        aside = folder.with_name(DRAFT + folder.name)
        os.replace(folder, aside)
        shutil.rmtree(aside)


def load_state(folder: Path) -> dict[str, Any]:
    """The trainer's state of a checkpoint.

    Raises:
        CheckpointError: it cannot be read.
    """
    try:
        return torch.load(folder / STATE_FILE, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its unpickler meets in a damaged file
        advice = f"remove {folder} to go on from the checkpoint before it"
        raise CheckpointError(f"{folder / STATE_FILE} cannot be read ({error}); {advice}") from error


def _sync(folder: Path) -> None:
    """Force files to the disk, so that the rename never shows a folder whose contents are not there yet."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
