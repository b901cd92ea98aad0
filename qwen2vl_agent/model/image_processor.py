"""From a picture to the patches that the vision encoder reads."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from qwen2vl_agent.model.image_source import load_rgb
from qwen2vl_agent.schema.errors import CheckpointError
from qwen2vl_agent.schema.geometry import MERGE_SIZE, PATCH_SIZE, RESIZE_FACTOR, smart_resize

TEMPORAL_PATCH_SIZE = 2
"""Frames in one patch; an image counts as two equal frames. Source: the published `temporal_patch_size`."""
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
"""Per-channel mean and deviation of the pixels. Source: OpenAI's CLIP, as in the published preprocessor_config.json."""

CONFIG_FILE = "preprocessor_config.json"
Grid = tuple[int, int, int]


@dataclass(frozen=True)
class ImageProcessor:
    """Resizes, normalises and cuts images into patches; `processor(image)` gives `(patches [n, 1176], (1, h, w))`."""

    min_pixels: int = 4 * 28 * 28
    max_pixels: int = 16_384 * 28 * 28
    """Bounds of the resized image's area. Source: preprocessor_config.json of the published checkpoints."""
    mean: tuple[float, float, float] = CLIP_MEAN
    std: tuple[float, float, float] = CLIP_STD

    def __post_init__(self) -> None:
        if not 0 < self.min_pixels <= self.max_pixels:
            raise ValueError(f"need 0 < min_pixels <= max_pixels, got {self.min_pixels} and {self.max_pixels}")

    def __call__(self, image: Any) -> tuple[Tensor, Grid]:
        """Patches (float32) and their grid (frame pairs, rows, columns).

        The patches of each 2x2 group that becomes one token stand together, the groups in reading order.

        Raises:
            MediaError: the image cannot be read, or is too long and thin.
        """
        picture = load_rgb(image)
        height, width = smart_resize(
            picture.height, picture.width, min_pixels=self.min_pixels, max_pixels=self.max_pixels
        )
        return self.patches(resize(picture, height, width)[None])

    def grid(self, width: int, height: int) -> Grid:
        """The grid of patches that an image of this size will have."""
        rows, columns = smart_resize(height, width, min_pixels=self.min_pixels, max_pixels=self.max_pixels)
        return 1, rows // PATCH_SIZE, columns // PATCH_SIZE

    def patches(self, frames: np.ndarray) -> tuple[Tensor, Grid]:
        """Patches of frames [F, H, W, 3] in 8 bits, F = 1 (shown twice) or even, sides multiples of 28."""
        cells, grid = cut_patches(frames)
        out = np.empty((len(cells), 3, TEMPORAL_PATCH_SIZE, PATCH_SIZE, PATCH_SIZE), np.float32)
        for channel in range(3):
            out[:, channel] = self._normalised[channel][cells[:, channel]]  # a single frame is repeated here
        return torch.from_numpy(out.reshape(len(cells), -1)), grid

    def pictures(self, frames_NHWC: Tensor) -> Tensor:
        """Patches [n, 1176] of pictures of one size in 8 bits, wherever they lie: the same as each one's `patches`."""
        count, height, width, _ = frames_NHWC.shape
        rows, columns = height // RESIZE_FACTOR, width // RESIZE_FACTOR
        split = (count, rows, MERGE_SIZE, PATCH_SIZE, columns, MERGE_SIZE, PATCH_SIZE, 3)
        cells = frames_NHWC.view(split).permute(0, 1, 4, 2, 5, 7, 3, 6).flatten(0, 4)
        table_3V = torch.from_numpy(self._normalised).to(frames_NHWC.device)
        values = torch.stack([table_3V[channel][cells[:, channel].int()] for channel in range(3)], dim=1)
        return values[:, :, None].expand(-1, -1, TEMPORAL_PATCH_SIZE, -1, -1).flatten(1)

    @cached_property
    def _normalised(self) -> np.ndarray:
        """What each of the 256 values of each channel becomes [3, 256], rounded as the reference rounds."""
        fractions = (np.arange(256) * (1 / 255)).astype(np.float32)
        return np.stack([(fractions - np.float32(m)) / np.float32(s) for m, s in zip(self.mean, self.std, strict=True)])

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ImageProcessor":
        """The processor that a preprocessor_config.json describes, in the flat or the nested spelling.

        Raises:
            CheckpointError: the patches have another size than Qwen2-VL's.
        """
        check_patch_sizes(config)
        low, high = pixel_limits(config, (cls.min_pixels, cls.max_pixels))
        mean, std = config.get("image_mean") or CLIP_MEAN, config.get("image_std") or CLIP_STD
        return cls(low, high, tuple(map(float, mean)), tuple(map(float, std)))  # type: ignore[arg-type]

    def to_config(self) -> dict[str, Any]:
        """The content of preprocessor_config.json, in the published spelling."""
        return {
            "min_pixels": self.min_pixels,
            "max_pixels": self.max_pixels,
            "patch_size": PATCH_SIZE,
            "temporal_patch_size": TEMPORAL_PATCH_SIZE,
            "merge_size": MERGE_SIZE,
            "image_mean": list(self.mean),
            "image_std": list(self.std),
            "image_processor_type": "Qwen2VLImageProcessor",
            "processor_class": "Qwen2VLProcessor",
        }

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes preprocessor_config.json."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / CONFIG_FILE).write_text(json.dumps(self.to_config(), indent=2) + "\n", encoding="utf-8")


def resize(picture: Image.Image, height: int, width: int) -> np.ndarray:
    """Pixels [height, width, 3] in 8 bits, scaled with Pillow's bicubic filter."""
    return np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC))


def cut_patches(frames: np.ndarray) -> tuple[np.ndarray, Grid]:
    """Patches [n, 3, F', 14, 14] of frames [F, H, W, 3], and their grid; F' is 1 for a single frame, else 2.

    Order of the patches, for one frame of 4 x 4 patches (row, column):
        0 (0, 0)   1 (0, 1)   2 (1, 0)   3 (1, 1)   the first group of 2 x 2
        4 (0, 2)   5 (0, 3)   6 (1, 2)   7 (1, 3)   the group to its right
        8 (2, 0)   9 (2, 1)  10 (3, 0)  11 (3, 1)   the next row of groups
    """
    count, height, width, _ = frames.shape
    depth = min(count, TEMPORAL_PATCH_SIZE)
    pairs, rows, columns = count // depth, height // PATCH_SIZE, width // PATCH_SIZE
    split = (pairs, depth, rows // MERGE_SIZE, MERGE_SIZE, PATCH_SIZE, columns // MERGE_SIZE, MERGE_SIZE, PATCH_SIZE, 3)
    cells = frames.reshape(split).transpose(0, 2, 5, 3, 6, 8, 1, 4, 7)
    return cells.reshape(pairs * rows * columns, 3, depth, PATCH_SIZE, PATCH_SIZE), (pairs, rows, columns)


def pixel_limits(config: dict[str, Any], default: tuple[int, int]) -> tuple[int, int]:
    """(min_pixels, max_pixels) of a processor's configuration: the flat names first, then the nested `size`."""
    size = config.get("size") or {}
    low = config.get("min_pixels") or size.get("min_pixels") or size.get("shortest_edge") or default[0]
    high = config.get("max_pixels") or size.get("max_pixels") or size.get("longest_edge") or default[1]
    return int(low), int(high)


def check_patch_sizes(config: dict[str, Any]) -> None:
    """Refuses a configuration whose patches are not Qwen2-VL's."""
    known = {"patch_size": PATCH_SIZE, "temporal_patch_size": TEMPORAL_PATCH_SIZE, "merge_size": MERGE_SIZE}
    for name, value in known.items():
        if config.get(name, value) != value:
            raise CheckpointError(f"{CONFIG_FILE} has {name} {config[name]}; Qwen2-VL has {value}")
