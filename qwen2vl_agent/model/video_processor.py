"""From a video to the patches that the vision encoder reads."""

import json
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image
from torch import Tensor

from qwen2vl_agent.model.image_processor import (
    TEMPORAL_PATCH_SIZE,
    Grid,
    ImageProcessor,
    check_patch_sizes,
    pixel_limits,
    resize,
)
from qwen2vl_agent.model.image_source import load_rgb
from qwen2vl_agent.schema.errors import MediaError
from qwen2vl_agent.schema.geometry import MERGE_SIZE, PATCH_SIZE, RESIZE_FACTOR, smart_resize

CONFIG_FILE = "video_preprocessor_config.json"
TOKEN_PIXELS = RESIZE_FACTOR**2
"""Pixels of a frame pair that become one token: 28 x 28."""


@dataclass(frozen=True)
class VideoProcessor:
    """Samples, resizes and cuts a video; `processor(video, fps)` gives `(patches [n, 1176], (t, h, w))`."""

    min_pixels: int = 128 * TOKEN_PIXELS
    max_pixels: int = 768 * TOKEN_PIXELS
    """Bounds of a resized frame's area. Source: transformers' `Qwen2VLVideoProcessor.size`, qwen-vl-utils."""
    max_tokens: int = 16_384
    """Most tokens of a whole video; frames get smaller until it fits. Source: technical report §2.1."""
    images: ImageProcessor = field(default_factory=ImageProcessor)
    """Gives the normalisation of pixels."""

    def __call__(self, video: Any, fps: float = 2.0) -> tuple[Tensor, Grid]:
        """Patches (float32) and their grid (frame pairs, rows, columns).

        A list of pictures is taken as it is, all brought to the first one's shape; of a file, the frames on show at
        0, 1/fps, 2/fps … seconds are taken, by the timestamps in it. An odd count is padded with the last frame.

        A file is decoded frame by frame. Whatever its length, `max_tokens` bound the memory: 16,384 tokens are 308 MB
        of patches and, while they are cut, 231 MB of frames in 8 bits.

        Raises:
            MediaError: the video cannot be read, has no frames, or more than the token budget can hold.
        """
        if isinstance(video, str | os.PathLike):
            return self._of_file(Path(video), fps)
        if not isinstance(video, Sequence) or isinstance(video, bytes):
            raise MediaError(f"a video is {type(video).__name__}; expected a list of pictures or a path")
        if not video:
            raise MediaError("the video has no frames")
        pictures = [load_rgb(picture) for picture in video]
        height, width = self.frame_size(len(pictures), pictures[0].width, pictures[0].height)
        return self._patches([resize(picture, height, width) for picture in pictures])

    def frame_size(self, count: int, width: int, height: int) -> tuple[int, int]:
        """(height, width) at which `count` frames of this size are seen, so that the whole keeps within the budget."""
        pairs = math.ceil(count / TEMPORAL_PATCH_SIZE)
        share = self.max_tokens // pairs * TOKEN_PIXELS
        if share == 0:
            raise MediaError(
                f"{count} frames are too many for {self.max_tokens} tokens; cut the video or lower its fps"
            )
        most = min(self.max_pixels, share)
        rows, columns = smart_resize(height, width, min_pixels=min(self.min_pixels, most), max_pixels=most)
        if rows * columns > share:  # the lower bound rounds up, and may go over a tight budget
            rows, columns = smart_resize(height, width, min_pixels=TOKEN_PIXELS, max_pixels=share)
        if rows * columns > share:  # a long and thin frame: one side cannot go below 28
            rows, columns = min(rows, share // RESIZE_FACTOR), min(columns, share // RESIZE_FACTOR)
        return rows, columns

    def _of_file(self, path: Path, fps: float) -> tuple[Tensor, Grid]:
        if fps <= 0:
            raise MediaError(f"a sampling rate of {fps} frames per second is impossible; expected more than 0")
        if not path.is_file():
            raise MediaError(f"{path}: no such video file")
        try:
            chosen = sample_times(_timestamps(path), fps)
            frames = _frames_at(path, chosen)
            first = next(frames)
            size = self.frame_size(len(chosen), first.width, first.height)
            pixels = [resize(first, *size)]
            last = first
            for picture in frames:
                pixels.append(pixels[-1] if picture is last else resize(picture, *size))
                last = picture
        except (av.FFmpegError, StopIteration, IndexError) as error:
            raise MediaError(f"{path} cannot be read as a video, it may be damaged or empty: {error}") from error
        return self._patches(pixels)

    def _patches(self, frames: list[np.ndarray]) -> tuple[Tensor, Grid]:
        frames = frames + frames[-1:] * (-len(frames) % TEMPORAL_PATCH_SIZE)
        return self.images.patches(np.stack(frames))

    @classmethod
    def from_config(cls, config: dict[str, Any], images: ImageProcessor) -> "VideoProcessor":
        """The processor that a video_preprocessor_config.json describes; absent values are the report's."""
        check_patch_sizes(config)
        low, high = pixel_limits(config, (cls.min_pixels, cls.max_pixels))
        return cls(low, high, int(config.get("max_tokens", cls.max_tokens)), images)

    def to_config(self) -> dict[str, Any]:
        """The content of video_preprocessor_config.json."""
        return {
            "min_pixels": self.min_pixels,
            "max_pixels": self.max_pixels,
            "max_tokens": self.max_tokens,
            "patch_size": PATCH_SIZE,
            "temporal_patch_size": TEMPORAL_PATCH_SIZE,
            "merge_size": MERGE_SIZE,
            "image_mean": list(self.images.mean),
            "image_std": list(self.images.std),
            "video_processor_type": "Qwen2VLVideoProcessor",
            "processor_class": "Qwen2VLProcessor",
        }

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes video_preprocessor_config.json."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / CONFIG_FILE).write_text(json.dumps(self.to_config(), indent=2) + "\n", encoding="utf-8")


def sample_times(shown_at: Sequence[float], fps: float) -> list[int]:
    """For each instant 0, 1/fps, 2/fps …, the number of the frame that is then on show.

    `shown_at` are the frames' times in seconds, ascending, and last the time at which the last one goes. Worked example
    at 2 frames per second: times 0, 0.1, 0.9 and end 2.0 -> instants 0, 0.5, 1.0, 1.5 -> frames 0, 1, 2, 2.
    """
    start, end = shown_at[0], shown_at[-1]
    count = max(1, math.ceil((end - start) * fps - 1e-6))
    instants = start + np.arange(count) / fps
    # Timestamps are multiples of a container's coarse tick (1 ms in Matroska): allow half of one.
    places = np.searchsorted(np.asarray(shown_at[:-1]), instants + 6e-4, side="right") - 1
    return [int(place) for place in places]


def _timestamps(path: Path) -> list[float]:
    """Times of all frames in seconds, ascending, and the end of the last; read from the packets without decoding."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        if stream.time_base is None:
            raise MediaError(f"{path}: the video has no clock")
        packets = [(p.pts, p.duration or 0) for p in container.demux(stream) if p.pts is not None]
        times = sorted(packets)
        rate = stream.average_rate
        unit = float(stream.time_base)
    last, duration = times[-1]
    length = duration * unit or (float(1 / rate) if rate else 0.0)
    return [pts * unit for pts, _ in times] + [last * unit + length]


def _frames_at(path: Path, chosen: Sequence[int]) -> Iterator[Image.Image]:
    """The chosen frames in order; a frame that is chosen again comes as the same object."""
    wanted = list(chosen)
    picture = None
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for number, frame in enumerate(container.decode(video=0)):
            if wanted and wanted[0] <= number:
                picture = _upright(frame)
            while wanted and wanted[0] <= number:
                wanted.pop(0)
                yield picture  # type: ignore[misc]
            if not wanted:
                return
    if picture is not None:
        yield from [picture] * len(wanted)  # fewer frames could be decoded than were announced


def _upright(frame: av.VideoFrame) -> Image.Image:
    """The frame as a player shows it; phones store upright videos lying down, with a rotation beside them."""
    picture = frame.to_image()
    turns = round(getattr(frame, "rotation", 0) / 90) % 4
    ways = (None, Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)
    way = ways[turns]
    return picture if way is None else picture.transpose(way)
