"""From a video file to the pictures on show at regular instants, by the timestamps in the file.

Variable frame rates, edit lists and rotation are as a player shows them. A damaged packet is passed over, the picture
before it stays on show; where a file breaks off, so does the video.
"""

import io
import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from qwen2vl_agent.schema.errors import MediaError
from qwen2vl_agent.schema.geometry import MOST_PIXELS

TICK_S = 6e-4
"""Timestamps are multiples of a container's coarse tick (1 ms in Matroska): allow half of one."""
SEEK_FRAMES = 16
"""Frames that are worth a seek; fewer are decoded and dropped. Measured: docs/design/0009-data-side.md."""


MOST_INSTANTS = 2_000_000
"""Pictures to take of one file: eighteen hours at 30 a second. A damaged timestamp can lie centuries ahead."""


@dataclass(frozen=True, slots=True)
class VideoFile:
    """A video file (or its bytes) and the pictures to take from it."""

    source: Path | bytes
    wanted: tuple[int, ...]
    """Timestamp of the frame on show at each instant, in the file's own clock."""
    shown: tuple[int, ...]
    """Timestamps of all frames, ascending."""
    keys: tuple[int, ...]
    """Those that can be decoded without the ones before."""
    tick_s: float
    """Length of a tick of the file's clock, in seconds."""

    def pictures(self) -> Iterator[Image.Image]:
        """The picture on show at each instant; one that stays on show comes as the same object.

        Fewer than `wanted` come where the end of the file is damaged.

        Raises:
            MediaError: nothing can be decoded.
        """
        frame: Any = None
        picture: Image.Image | None = None
        place, broken = 0, False
        for found in _Decoder(self).frames():
            if found is None:
                broken = True
                continue
            broken = False
            earlier = frame
            while place < len(self.wanted) and self.wanted[place] < found.pts:
                picture = picture or _upright(earlier or found)
                yield picture
                place += 1
            frame, picture = found, None
            while place < len(self.wanted) and self.wanted[place] == found.pts:
                picture = picture or _upright(found)
                yield picture
                place += 1
        if frame is None:
            raise MediaError(f"{_name(self.source)} cannot be read as a video: none of its frames can be decoded")
        for _ in () if broken else self.wanted[place:]:
            picture = picture or _upright(frame)
            yield picture


def open_video(source: Path | bytes, fps: float) -> VideoFile:
    """What is to be taken of a file at `fps` pictures a second; only its packets are read, nothing is decoded.

    Raises:
        MediaError: it cannot be read, or has no frames.
    """
    try:
        shown, keys, end, unit = _packets(source)
    except (av.FFmpegError, IndexError, ValueError, OverflowError) as error:
        raise MediaError(f"{_name(source)} cannot be read as a video, it may be damaged or empty: {error}") from error
    if not shown:
        raise MediaError(f"{_name(source)} cannot be read as a video: it has no frames")
    places = sample_times([pts * unit for pts in shown] + [end * unit], fps)
    return VideoFile(source, tuple(shown[place] for place in places), tuple(shown), tuple(keys), unit)


def open_video_at(source: Path | bytes, seconds: Sequence[float]) -> VideoFile:
    """As `open_video`, at given times in ascending order, counted from the first frame.

    Raises:
        MediaError: it cannot be read, or has no frames.
    """
    video = open_video(source, 1.0)
    shown_at = np.asarray(video.shown) * video.tick_s
    places = np.searchsorted(shown_at, shown_at[0] + np.asarray(seconds) + TICK_S, side="right") - 1
    return replace(video, wanted=tuple(video.shown[max(0, int(place))] for place in places))


def sample_times(shown_at: Sequence[float], fps: float) -> list[int]:
    """For each instant 0, 1/fps, 2/fps …, the number of the frame that is then on show.

    `shown_at` are the frames' times in seconds, ascending, and last the time at which the last one goes. Worked example
    at 2 frames per second: times 0, 0.1, 0.9 and end 2.0 -> instants 0, 0.5, 1.0, 1.5 -> frames 0, 1, 2, 2.
    """
    start, end = shown_at[0], shown_at[-1]
    count = max(1, math.ceil(min((end - start - TICK_S) * fps, MOST_INSTANTS + 1)))
    if count > MOST_INSTANTS:
        raise MediaError(
            f"a video of {end - start:.3g} s at {fps:g} pictures a second; expected {MOST_INSTANTS} at most"
        )
    instants = start + np.arange(count) / fps
    places = np.searchsorted(np.asarray(shown_at[:-1]), instants + TICK_S, side="right") - 1
    return [int(place) for place in places]


def _packets(source: Path | bytes) -> tuple[list[int], list[int], float, float]:
    """Timestamps of all frames, of the key frames, the end of the last, and the length of a tick in seconds."""
    found: list[tuple[int, int, bool]] = []
    with _opened(source) as container:
        stream = container.streams.video[0]
        if stream.time_base is None:
            raise MediaError(f"{_name(source)}: the video has no clock")
        width, height = (getattr(stream.codec_context, side, 0) or 0 for side in ("width", "height"))
        if width * height > MOST_PIXELS:
            raise MediaError(f"{_name(source)}: frames of {width}x{height}; expected {MOST_PIXELS} pixels at most")
        rate, unit = stream.average_rate, float(stream.time_base)
        try:
            for packet in container.demux(stream):
                at = packet.dts if packet.pts is None else packet.pts
                if at is not None and packet.size and not packet.is_discard:  # cut away by an edit list
                    found.append((at, packet.duration or 0, packet.is_keyframe))
        except av.FFmpegError:
            if not found:
                raise
    found.sort()
    if not found:
        return [], [], 0.0, unit
    last, duration, _ = found[-1]
    length = duration or (float(1 / rate) / unit if rate else 0.0)
    shown = sorted({at for at, _, _ in found})
    return shown, sorted({at for at, _, key in found if key}), last + length, unit


class _Decoder:
    """Decodes frames in the order in which they are shown, and leaps over stretches that nobody wants."""

    def __init__(self, video: VideoFile) -> None:
        self._video = video
        self._can_seek = True
        self._reached: int | None = None  # the last key frame sought: a file whose seeks fall short is not sought again

    def frames(self) -> Iterator[Any]:
        """The frames; None for packets that could not be decoded."""
        with _opened(self._video.source) as container:
            stream = container.streams.video[0]
            if stream.codec_context is None:
                raise MediaError(f"{_name(self._video.source)} cannot be read as a video: nothing here decodes it")
            stream.thread_type = "AUTO"
            stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}
            at: int | None = None  # timestamp of the last frame given
            key = self._next_key(None)
            while True:
                if key is not None and not self._seek(container, stream, key):
                    key = None
                for found in _decoded(container, stream):
                    if found is not None and found.pts is None:
                        continue
                    if found is not None:
                        at = found.pts
                    yield found
                    key = self._next_key(at) if found is not None else None
                    if key is not None:
                        break
                    if at is not None and at >= self._video.wanted[-1]:
                        return
                else:
                    return

    def _next_key(self, at: int | None) -> int | None:
        """The key frame to leap to, where the next wanted frame is far away."""
        wanted, shown = self._video.wanted, self._video.shown
        place = 0 if at is None else bisect_right(wanted, at)
        if not self._can_seek or place >= len(wanted):
            return None
        before = bisect_right(self._video.keys, wanted[place])
        if before == 0:
            return None
        key = self._video.keys[before - 1]
        if self._reached is not None and key <= self._reached:
            return None
        here = 0 if at is None else bisect_right(shown, at)
        return key if bisect_right(shown, key) - 1 - here >= SEEK_FRAMES else None

    def _seek(self, container: Any, stream: Any, key: int) -> bool:
        try:
            container.seek(key, stream=stream)
            self._reached = key
        except av.FFmpegError:
            self._can_seek = False
        return self._can_seek


def _decoded(container: Any, stream: Any) -> Iterator[Any]:
    try:
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                yield None
                continue
            yield from frames
    except av.FFmpegError:
        yield None


def _opened(source: Path | bytes) -> Any:
    """The container; what its metadata say in no known encoding is left out."""
    where = io.BytesIO(source) if isinstance(source, bytes) else str(source)
    return av.open(where, metadata_errors="ignore")


def _name(source: Path | bytes) -> str:
    return f"the video of {len(source)} bytes" if isinstance(source, bytes) else str(source)


def _upright(frame: Any) -> Image.Image:
    """The frame as a player shows it; phones store upright videos lying down, with a rotation beside them."""
    picture = frame.to_image()
    turns = round(getattr(frame, "rotation", 0) / 90) % 4
    ways = (None, Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)
    way = ways[turns]
    return picture if way is None else picture.transpose(way)
