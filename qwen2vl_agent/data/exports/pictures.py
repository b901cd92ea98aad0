"""The pictures of an export: each once, named by its content, beside what refers to it."""

import contextlib
import os
import shutil
from pathlib import Path

from qwen2vl_agent.schema.errors import RecordError
from qwen2vl_agent.schema.messages import ImagePart

FOLDER = "images"


class PictureFolder:
    """`images/` below an export; a file is linked to the record's own where the disk allows it."""

    def __init__(self, out: Path) -> None:
        self._out = out
        (out / FOLDER).mkdir(parents=True, exist_ok=True)

    def add(self, part: ImagePart) -> str:
        """The picture's path from the export's folder.

        Raises:
            RecordError: the frame is missing.
        """
        source = Path(part.image)
        name = f"{FOLDER}/{part.sha256}{source.suffix}"
        target = self._out / name
        if not source.is_file():
            raise RecordError(f"frame {source} is missing; the record is incomplete")
        if not target.exists():
            with contextlib.suppress(OSError):
                os.link(source, target)
        if not target.exists():
            shutil.copyfile(source, target)
        return name
