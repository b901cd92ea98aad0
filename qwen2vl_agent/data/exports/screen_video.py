"""Screens as one MP4 file, a frame each, all of one size."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from PIL import Image

CODEC, QUALITY = "libx264", "16"
"""Constant rate factor; near to lossless, for texts."""
KEY_EVERY = 2
"""Frames between two that can be decoded alone: single steps are asked for in any order."""


class ScreenVideo:
    """Frames put behind each other at a fixed rate; smaller ones lie at the top left on black."""

    def __init__(self, path: Path, size: tuple[int, int], fps: Fraction) -> None:
        """`size`: width and height of the film, even numbers."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.frames = 0
        self._size = size
        self._file: Any = av.open(str(path), "w")
        stream: Any = self._file.add_stream(CODEC, rate=fps)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        self._tick = Fraction(1, fps)  # the stream's own clock is another once the file is begun
        stream.options = {"crf": QUALITY, "g": str(KEY_EVERY)}
        self._stream = stream

    def add(self, image: Image.Image) -> None:
        """One more frame."""
        canvas = Image.new("RGB", self._size)
        canvas.paste(image.convert("RGB"))
        frame = av.VideoFrame.from_image(canvas)
        frame.pts = self.frames
        frame.time_base = self._tick
        self._file.mux(self._stream.encode(frame))
        self.frames += 1

    def close(self) -> None:
        """The file is whole."""
        self._file.mux(self._stream.encode())
        self._file.close()


def even(size: tuple[int, int]) -> tuple[int, int]:
    """The size with odd sides made one longer, as the colours of a film need it."""
    width, height = size
    return width + width % 2, height + height % 2
