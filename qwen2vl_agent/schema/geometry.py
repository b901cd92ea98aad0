"""The one authority on coordinates: frames, points, and the rule by which an image is resized for the model.

Every point carries its frame, so no number is ever read in the wrong coordinate system.
"""

import math
from dataclasses import dataclass
from typing import Literal

from qwen2vl_agent.schema.errors import MediaError

MOST_PIXELS = 80_000_000
"""Of a picture that is opened; a few bytes can say that they are a larger one. A model sees at most 12.8 million."""
PATCH_SIZE = 14
"""Side of a patch of the vision encoder, in pixels. Source: the published checkpoints' `patch_size`."""
MERGE_SIZE = 2
"""Patches folded into one token, per side. Source: the published checkpoints' `spatial_merge_size`."""
RESIZE_FACTOR = PATCH_SIZE * MERGE_SIZE
"""Both sides of a resized image are multiples of this: 28 pixels."""
MAX_ASPECT_RATIO = 200
"""Images longer than this times their width (or the reverse) are refused. Source: Qwen2-VL's `smart_resize`."""
MODEL_GRID = 1000
"""Points in a model's text are integers in [0, 1000) along each axis."""

Space = Literal["model", "resized", "screenshot", "device"]


@dataclass(frozen=True, slots=True)
class Frame:
    """A coordinate system: x grows to the right in [0, width), y grows downwards in [0, height)."""

    space: Space
    """`model` is the [0, 1000) grid; `resized`, `screenshot` and `device` count pixels."""
    width: int
    height: int
    rotation: int = 0
    """Quarter turns of the device's natural orientation that this frame shows (0 to 3)."""

    def __post_init__(self) -> None:
        if self.width <= 0 or self.height <= 0:
            raise ValueError(f"a frame needs positive sides, got {self.width}x{self.height}")


MODEL_FRAME = Frame("model", MODEL_GRID, MODEL_GRID)


@dataclass(frozen=True, slots=True)
class Point:
    """A cell of a frame. Integers name cells, as pixels do: cell x covers [x, x + 1)."""

    x: int
    y: int
    frame: Frame

    def to(self, frame: Frame) -> "Point":
        """The cell of `frame` that holds the centre of this cell.

        Worked example, 1000 cells to 1080 pixels: 0 -> floor(0.5 * 1.08) = 0; 500 -> floor(500.5 * 1.08) = 540;
        999 -> floor(999.5 * 1.08) = 1079.
        """
        if frame == self.frame:
            return self
        return Point(
            _rescale(self.x, self.frame.width, frame.width), _rescale(self.y, self.frame.height, frame.height), frame
        )

    @property
    def inside(self) -> bool:
        """Whether the point lies in its own frame."""
        return 0 <= self.x < self.frame.width and 0 <= self.y < self.frame.height


def _rescale(cell: int, old: int, new: int) -> int:
    return ((2 * cell + 1) * new) // (2 * old)


def smart_resize(
    height: int, width: int, *, min_pixels: int, max_pixels: int, factor: int = RESIZE_FACTOR
) -> tuple[int, int]:
    """The (height, width) at which the model sees an image: multiples of `factor`, within the pixel budget.

    Rounding is Python's, half to even: 98x56 becomes 112x56, 42x70 becomes 56x56.

    Raises:
        MediaError: the image has no pixels, or its aspect ratio is over 200.

    Source: `smart_resize` of the published Qwen2-VL processors (technical report §2.1).
    """
    if height <= 0 or width <= 0:
        raise MediaError(f"an image of {width}x{height} pixels has nothing to show; expected at least 1x1")
    if max(height, width) / min(height, width) > MAX_ASPECT_RATIO:
        raise MediaError(
            f"an image of {width}x{height} pixels is too long and thin: the sides' ratio must be at most "
            f"{MAX_ASPECT_RATIO}; crop or split it"
        )
    resized_height = max(factor, round(height / factor) * factor)
    resized_width = max(factor, round(width / factor) * factor)
    if resized_height * resized_width > max_pixels:
        shrink = math.sqrt(height * width / max_pixels)
        resized_height = max(factor, math.floor(height / shrink / factor) * factor)
        resized_width = max(factor, math.floor(width / shrink / factor) * factor)
    elif resized_height * resized_width < min_pixels:
        stretch = math.sqrt(min_pixels / (height * width))
        resized_height = math.ceil(height * stretch / factor) * factor
        resized_width = math.ceil(width * stretch / factor) * factor
    return resized_height, resized_width
