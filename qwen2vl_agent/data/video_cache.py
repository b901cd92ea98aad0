"""Caching decoding: a video is decoded once, and its sampled frames are kept.

A pack is found by the video's content and by how it was sampled, so that a moved file is found again and other
settings never meet. Of several processes that want the same video one decodes and the others wait for its pack.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from qwen2vl_agent.data.frame_pack import Pack, write_pack
from qwen2vl_agent.data.vision_store import StoredVideo
from qwen2vl_agent.model.image_processor import TEMPORAL_PATCH_SIZE, Grid
from qwen2vl_agent.model.video_processor import VideoProcessor
from qwen2vl_agent.schema.errors import RecordError
from qwen2vl_agent.schema.geometry import PATCH_SIZE
from qwen2vl_agent.trajectory.frames import write_whole

VERSION = 1
"""Of the way from a file to frames: another one makes new packs."""
GIB = 2**30
Video = Path | bytes | StoredVideo


class VideoCache:
    """A folder of packs, shared by any number of processes, of at most `max_bytes`: the longest unused go first."""

    def __init__(self, folder: Path | str, max_bytes: int = 100 * GIB) -> None:
        self.folder = Path(folder)
        self.max_bytes = max_bytes
        self.decoded = 0
        """Videos that this object decoded."""
        for name in ("packs", "locks", "known"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)

    def pack(self, video: Video, fps: float, processor: VideoProcessor) -> Pack:
        """The sampled and resized frames of a video, decoded if nobody has done it before.

        Raises:
            MediaError: the video cannot be had or read.
        """
        path = self.folder / "packs" / f"{self._key(video, fps, processor)}.pack"
        if (pack := _opened(path)) is not None:
            return pack
        with _alone(self.folder / "locks" / path.name[:2]):  # 256 locks for all: a wait too many does no harm
            pack = _opened(path)
            if pack is None:
                pack = self._decode(video, fps, processor, path)
        self._shrink()
        return pack

    def size(self) -> int:
        """Bytes of all packs."""
        return sum(status.st_size for _, status in self._packs())

    def _decode(self, video: Video, fps: float, processor: VideoProcessor, path: Path) -> Pack:
        source = video.read() if isinstance(video, StoredVideo) else video
        draft = path.with_suffix(".part")  # written under the lock only; a killed process leaves it to the next
        write_pack(draft, processor.frames(source, fps))
        draft.replace(path)
        self.decoded += 1
        return Pack(path)

    def _key(self, video: Video, fps: float, processor: VideoProcessor) -> str:
        sampling = {
            "version": VERSION,
            "content": self._content(video),
            "fps": fps,
            "pixels": [processor.min_pixels, processor.max_pixels],
            "max_tokens": processor.max_tokens,
        }
        return hashlib.sha256(json.dumps(sampling, sort_keys=True).encode()).hexdigest()

    def _content(self, video: Video) -> str:
        """The SHA-256 of a video's bytes; of a file it is remembered, and computed again when the file changes."""
        if isinstance(video, bytes):
            return hashlib.sha256(video).hexdigest()
        if isinstance(video, StoredVideo):
            if video.sha256 is not None:
                return video.sha256
            local = video.store.local_path(video.name)
            if local is None:
                return video.digest()
            video = local
        if not video.is_file():
            return f"missing {video}"  # what decodes it says so
        status = video.stat()
        where = str(video.resolve())
        stamp = [where, status.st_size, status.st_mtime_ns]
        note = self.folder / "known" / hashlib.sha256(where.encode()).hexdigest()
        with contextlib.suppress(OSError, ValueError):
            known = json.loads(note.read_text("utf-8"))
            if known[:3] == stamp:
                return known[3]
        with video.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        write_whole(note, json.dumps([*stamp, digest]).encode(), sync=False)
        return digest

    def _packs(self) -> list[tuple[Path, os.stat_result]]:
        found = []
        for path in (self.folder / "packs").glob("*.pack"):
            with contextlib.suppress(FileNotFoundError):  # removed by another process just now
                found.append((path, path.stat()))
        return found

    def _shrink(self) -> None:
        """Removes what is beyond `max_bytes`, and drafts that nobody is writing."""
        with _alone(self.folder / "locks" / "shrink"):
            packs = sorted(self._packs(), key=lambda item: item[1].st_mtime_ns)
            total = sum(status.st_size for _, status in packs)
            for path, status in packs:
                if total <= self.max_bytes:
                    break
                path.unlink(missing_ok=True)
                total -= status.st_size
            for draft in (self.folder / "packs").glob("*.part"):
                with _alone(self.folder / "locks" / draft.name[:2], wait=False) as mine:
                    if mine:
                        draft.unlink(missing_ok=True)

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process opens the same folder."""
        return VideoCache, (self.folder, self.max_bytes)


def _opened(path: Path) -> Pack | None:
    """The pack, used just now; None: there is none, or it was damaged and is gone."""
    try:
        pack = Pack(path)
        os.utime(path)
        return pack
    except FileNotFoundError:
        return None
    except RecordError:
        path.unlink(missing_ok=True)
        return None


@contextlib.contextmanager
def _alone(path: Path, wait: bool = True) -> Iterator[bool]:
    """Holds a lock that ends with this process, however that ends; gives whether it was got."""
    try:
        import fcntl
    except ImportError:  # Windows: two processes may decode the same video; the later pack replaces the earlier
        yield True
        return
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True


@dataclass(frozen=True)
class CachedVideos:
    """Reads videos for an encoder, in place of a `VideoProcessor`: files through a cache, lists of pictures as ever."""

    processor: VideoProcessor
    cache: VideoCache | None = None
    """None: every file is decoded each time."""
    measure: bool = False
    """Whether the grid is enough: then there are no patches."""

    def __call__(self, video: Any, fps: float = 2.0) -> tuple[Tensor, Grid]:
        """Patches and grid, as `VideoProcessor` gives them.

        Raises:
            MediaError: the video cannot be had or read.
        """
        if not isinstance(video, str | os.PathLike | bytes | StoredVideo):
            return self.processor(video, fps)
        source = Path(video) if isinstance(video, str | os.PathLike) else video
        if self.cache is None:
            plain = source.read() if isinstance(source, StoredVideo) else source
            return (
                self._grid_of(list(self.processor.frames(plain, fps))) if self.measure else self.processor(plain, fps)
            )
        pack = self.cache.pack(source, fps, self.processor)
        if self.measure:
            return _empty(pack.shape[0], *pack.shape[1:3])
        try:
            return self.processor.patches(pack.frames())
        except RecordError:  # damaged on disk between two readings
            pack.remove()
            return self.processor.patches(self.cache.pack(source, fps, self.processor).frames())

    def _grid_of(self, frames: list[Any]) -> tuple[Tensor, Grid]:
        return _empty(len(frames), *frames[0].shape[:2])


def _empty(count: int, height: int, width: int) -> tuple[Tensor, Grid]:
    pairs = -(-count // TEMPORAL_PATCH_SIZE)
    return torch.empty(0, 1176), (pairs, height // PATCH_SIZE, width // PATCH_SIZE)
