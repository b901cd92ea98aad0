"""Frames kept by content: a folder of PNG files, each named by the hash of its bytes.

One folder may serve many episodes and many processes and threads at once: a file appears whole or not at all, and
the same pixels give the same file.
"""

import hashlib
import os
import threading
from pathlib import Path

from PIL import Image

from qwen2vl_agent.schema.errors import RecordError
from qwen2vl_agent.schema.trajectory import StoredFrame
from qwen2vl_agent.trajectory.png import png_bytes, read_png

PRIVATE = 0o700
"""Mode of a new folder: screens may show what only their owner is to see."""


def write_whole(path: Path, data: bytes, sync: bool = True) -> None:
    """Put `data` at `path` so that a reader finds the old file or the new one, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.part")
    with temporary.open("wb") as file:
        file.write(data)
        if sync:
            file.flush()
            os.fsync(file.fileno())
    temporary.replace(path)


class FrameStore:
    """A folder of frames."""

    def __init__(self, folder: Path, sync: bool = True) -> None:
        self.folder = Path(folder)
        self._sync = sync

    def put(self, image: Image.Image) -> StoredFrame:
        """Keep an image's exact pixels; the reference to them."""
        image = image if image.mode == "RGB" else image.convert("RGB")
        data = png_bytes(image)
        stored = StoredFrame(hashlib.sha256(data).hexdigest(), *image.size)
        self._write(self.path(stored), data)
        return stored

    def get(self, stored: StoredFrame) -> Image.Image:
        """The image behind a reference.

        Raises:
            RecordError: the file is missing, or its bytes are not those that were recorded.
        """
        path = self.path(stored)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise RecordError(f"frame {path} cannot be read ({error}); the record is incomplete") from error
        if hashlib.sha256(data).hexdigest() != stored.sha256:
            raise RecordError(f"frame {path} is damaged: its bytes are not those that were recorded")
        try:
            image = read_png(data)
        except ValueError as error:
            raise RecordError(f"frame {path} is damaged: {error}") from error
        if image.size != (stored.width, stored.height):
            raise RecordError(
                f"frame {path} is {image.width}x{image.height}; the record says {stored.width}x{stored.height}"
            )
        return image

    def path(self, stored: StoredFrame) -> Path:
        """Where a frame lies."""
        return self.folder / f"{stored.sha256}.png"

    def _write(self, path: Path, data: bytes) -> None:
        """A file of the right name and length is the right file: names are hashes and writing is atomic."""
        if path.is_file() and path.stat().st_size == len(data):
            return
        self.folder.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        write_whole(path, data, self._sync)
