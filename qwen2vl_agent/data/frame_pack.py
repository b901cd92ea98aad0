"""One file with the sampled frames of a video, as they were decoded and resized, without any loss.

    QWVLPACK | frames | index (JSON) | bytes of the index (uint32) | CRC-32 of the index (uint32) | QWVLPEND

A frame that equals the one before takes no room. Of others, what changed since the frame before is deflated where
that halves it (screens, drawings), and else the pixels stand there as they are (camera pictures).
"""

import json
import math
import mmap
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from qwen2vl_agent.schema.errors import RecordError
from qwen2vl_agent.schema.geometry import MOST_PIXELS

MAGIC, END = b"QWVLPACK", b"QWVLPEND"
SAME, PLAIN, CHANGE = "same", "plain", "change"
WORTH = 0.5
"""Part of its size below which a deflated frame is kept: reading plain pixels is faster."""
LEVEL = 1


def write_pack(path: Path, frames: Iterable[np.ndarray]) -> None:
    """Writes frames [H, W, 3] one by one, whatever their number; the file is complete when this returns.

    Raises:
        ValueError: there are none.
    """
    index: list[tuple[str, int, int]] = []
    before: np.ndarray | None = None
    shape: tuple[int, ...] = ()
    with path.open("wb") as file:
        file.write(MAGIC)
        for frame in frames:
            if before is not None and (frame is before or np.array_equal(frame, before)):
                index.append((SAME, 0, 0))
                continue
            kind, data = _stored(frame, before)
            file.write(data)
            index.append((kind, len(data), zlib.crc32(data)))
            before, shape = frame, frame.shape
        if before is None:
            raise ValueError("a pack needs at least one frame")
        text = json.dumps({"version": 1, "shape": [len(index), *shape], "frames": index}).encode()
        file.write(text + struct.pack("<II", len(text), zlib.crc32(text)) + END)


def _stored(frame: np.ndarray, before: np.ndarray | None) -> tuple[str, bytes]:
    change = frame if before is None else frame - before  # in 8 bits: it wraps round, and back when read
    packed = zlib.compress(np.ascontiguousarray(change).data, LEVEL)
    return (CHANGE, packed) if len(packed) < WORTH * frame.nbytes else (PLAIN, frame.tobytes())


def _sound(head: Any) -> bool:
    """Whether an index says what one has to: the shape [F, H, W, 3], and F times a kind, a size and a checksum."""
    shape, frames = (head.get("shape"), head.get("frames")) if isinstance(head, dict) else (None, None)
    if not isinstance(shape, list) or not isinstance(frames, list) or len(shape) != 4:
        return False
    sized = all(type(side) is int and side > 0 for side in shape) and shape[3] == 3
    listed = all(isinstance(f, list) and len(f) == 3 and all(type(n) is int and n >= 0 for n in f[1:]) for f in frames)
    return (
        sized
        and listed
        and shape[0] == len(frames)
        and shape[1] * shape[2] <= MOST_PIXELS
        and all(frame[0] in (SAME, PLAIN, CHANGE) for frame in frames)
        and frames[0][0] != SAME
    )


class Pack:
    """A pack, open: it can be read to its end even when its file has been removed."""

    def __init__(self, path: Path) -> None:
        """Reads what the file says of itself; no frame yet.

        Raises:
            FileNotFoundError: there is none.
            RecordError: it is incomplete or damaged.
        """
        with path.open("rb") as file:
            try:
                self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except ValueError as error:
                raise RecordError(f"{path} is empty") from error
        self._path = path
        head = self._index()
        if not _sound(head):
            raise RecordError(f"{path} is damaged in its index")
        self._frames: list[tuple[str, int, int]] = head["frames"]
        self.shape: tuple[int, int, int, int] = tuple(head["shape"])
        """Frames, height, width and 3."""

    def _index(self) -> Any:
        tail = 8 + len(END)
        if self._bytes[: len(MAGIC)] != MAGIC or len(self._bytes) < len(MAGIC) + tail or self._bytes[-8:] != END:
            raise RecordError(f"{self._path} is no complete pack of frames")
        size, check = struct.unpack("<II", self._bytes[-tail : -len(END)])
        text = self._bytes[-tail - size : -tail]
        if len(text) != size or zlib.crc32(text) != check:
            raise RecordError(f"{self._path} is damaged in its index")
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise RecordError(f"{self._path} is damaged in its index: {error}") from error

    def frames(self) -> np.ndarray:
        """[F, H, W, 3] in 8 bits.

        Raises:
            RecordError: the bytes of a frame are not those that were written.
        """
        made = np.empty(self.shape, np.uint8)
        view, at = memoryview(self._bytes), len(MAGIC)
        for number, (kind, size, check) in enumerate(self._frames):
            if kind == SAME:
                made[number] = made[number - 1]
                continue
            data = view[at : at + size]
            at += size
            if zlib.crc32(data) != check:
                raise RecordError(f"{self._path}: frame {number} is damaged")
            made[number] = self._pixels(kind, data, number)
            if kind == CHANGE and number:
                made[number] += made[number - 1]
        return made

    def _pixels(self, kind: str, data: memoryview, number: int) -> np.ndarray:
        """What is kept of a frame, inflated to no more than a frame."""
        size = math.prod(self.shape[1:])
        try:
            plain = data if kind == PLAIN else zlib.decompressobj().decompress(data, size + 1)
        except zlib.error as error:
            raise RecordError(f"{self._path}: frame {number} is damaged: {error}") from error
        if len(plain) != size:
            raise RecordError(f"{self._path}: frame {number} has {len(plain)} bytes; expected {size}")
        return np.frombuffer(plain, np.uint8).reshape(self.shape[1:])

    def remove(self) -> None:
        """Takes the file away; what is open stays readable."""
        self._path.unlink(missing_ok=True)
