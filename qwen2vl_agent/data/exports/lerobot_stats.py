"""Mean and spread of a data set's columns, as LeRobot keeps them for normalising."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

SAMPLED_SIDE = 64
"""Screens are counted at this size."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Of values [rows, columns]: least, most, mean and standard deviation of each column."""

    least: np.ndarray
    most: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    count: int
    shape: tuple[int, ...]

    @classmethod
    def of(cls, values: np.ndarray, shape: tuple[int, ...] | None = None, count: int | None = None) -> "Spread":
        """`count` and `shape` where they are not those of the rows and columns."""
        return cls(
            values.min(0),
            values.max(0),
            values.mean(0),
            values.std(0),
            len(values) if count is None else count,
            shape or (values.shape[1],),
        )

    def with_more(self, other: "Spread") -> "Spread":
        """Of both together."""
        count = self.count + other.count
        mean = (self.mean * self.count + other.mean * other.count) / count
        squares = sum(part.count * (part.std**2 + (part.mean - mean) ** 2) for part in (self, other))
        least, most = np.minimum(self.least, other.least), np.maximum(self.most, other.most)
        return Spread(least, most, mean, np.sqrt(squares / count), count, self.shape)

    def to_json(self) -> dict[str, Any]:
        """By LeRobot's names."""
        parts = {"min": self.least, "max": self.most, "mean": self.mean, "std": self.std}
        return {**{name: part.reshape(self.shape).tolist() for name, part in parts.items()}, "count": [self.count]}


def picture_samples(pictures: Sequence[Image.Image]) -> np.ndarray:
    """[pixels, 3] of the pictures made small, 0 to 1."""
    small = [np.asarray(picture.convert("RGB").resize((SAMPLED_SIDE, SAMPLED_SIDE))) for picture in pictures]
    return np.concatenate([pixels.reshape(-1, 3) for pixels in small]) / 255.0
