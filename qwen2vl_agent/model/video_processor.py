"""From a video to the patches that the vision encoder reads."""

import json
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
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
from qwen2vl_agent.model.video_file import open_video
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

        A list of pictures is taken as it is, all brought to the first one's shape; of a file (a path, or its bytes) the
        frames on show at 0, 1/fps, 2/fps … seconds are taken, by the timestamps in it. An odd count is padded with the
        last frame.

        A file is decoded frame by frame. Whatever its length, `max_tokens` bound the memory: 16,384 tokens are 308 MB
        of patches and, while they are cut, 231 MB of frames in 8 bits.

        Raises:
            MediaError: the video cannot be read, has no frames, or more than the token budget can hold.
        """
        if isinstance(video, str | os.PathLike):
            return self.patches(list(self.frames(Path(video), fps)))
        if isinstance(video, bytes):
            return self.patches(list(self.frames(video, fps)))
        if not isinstance(video, Sequence):
            raise MediaError(f"a video is {type(video).__name__}; expected a list of pictures, a path or bytes")
        if not video:
            raise MediaError("the video has no frames")
        pictures = [load_rgb(picture) for picture in video]
        height, width = self.frame_size(len(pictures), pictures[0].width, pictures[0].height)
        return self.patches([resize(picture, height, width) for picture in pictures])

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

    def frames(self, source: Path | bytes, fps: float = 2.0) -> Iterator[np.ndarray]:
        """The resized frames [H, W, 3] of a file or its bytes, one by one; one that stays comes as the same object.

        Raises:
            MediaError: the file cannot be read, or has more frames than the token budget can hold.
        """
        if fps <= 0:
            raise MediaError(f"a sampling rate of {fps} frames per second is impossible; expected more than 0")
        if isinstance(source, Path) and not source.is_file():
            raise MediaError(f"{source}: no such video file")
        video = open_video(source, fps)
        size: tuple[int, int] | None = None
        last, pixels = None, None
        for picture in video.pictures():
            size = size or self.frame_size(len(video.wanted), picture.width, picture.height)
            if picture is not last:
                last, pixels = picture, resize(picture, *size)
            assert pixels is not None
            yield pixels

    def patches(self, frames: Sequence[np.ndarray] | np.ndarray) -> tuple[Tensor, Grid]:
        """Patches of resized frames; an odd count is padded with the last one."""
        if len(frames) % TEMPORAL_PATCH_SIZE:
            frames = [*frames, frames[-1]]
        return self.images.patches(frames if isinstance(frames, np.ndarray) else np.stack(frames))

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
