"""How alike two screens are: by a perceptual hash, and by the structure of their edges.

The hash tells pictures apart at large and forgives colours that shift a little; the structure tells lists with other
rows apart that look alike from afar. The clock at the top is left out of both.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

TOP_SHARE = 0.04
"""Share of the height, from the top, that is left out."""
HASH_SIDE = 32
LOW_SIDE = 8
"""Low frequencies kept of the hash, per side: 64 bits."""
EDGE_SIZE = (48, 96)
"""Columns and rows in which edges are compared."""
FARTHEST = 10
"""Bits of 64 by which two pictures of one screen may differ. Measured: `docs/design/0014-trust.md`."""
LEAST_STRUCTURE = 0.9
"""Correlation of the edges of two pictures of one screen, at least. Measured there too."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """What two screens have in common."""

    distance: int
    """Bits of 64 in which the hashes differ."""
    structure: float
    """Correlation of the edges, -1 to 1."""
    same_shape: bool
    """Whether height and width stand in the same ratio, within a twentieth."""

    def same(self, farthest: int = FARTHEST, least_structure: float = LEAST_STRUCTURE) -> bool:
        """Whether they may pass for one screen."""
        return self.same_shape and self.distance <= farthest and self.structure >= least_structure

    def __str__(self) -> str:
        if not self.same_shape:
            return "the screens have other shapes"
        return f"{self.distance} of 64 bits differ, structure {self.structure:.2f}"


def likeness(one: Image.Image, other: Image.Image) -> Likeness:
    """Compare two screens of any sizes."""
    ratios = [image.height / image.width for image in (one, other)]
    bits = [perceptual_hash(image) for image in (one, other)]
    edges = [_edges(image) for image in (one, other)]
    return Likeness(
        distance=(bits[0] ^ bits[1]).bit_count(),
        structure=_correlation(*edges),
        same_shape=abs(ratios[0] - ratios[1]) <= 0.05 * max(ratios),
    )


def perceptual_hash(image: Image.Image) -> int:
    """64 bits: which of the low frequencies of a picture are above their median.

    Source: the "pHash" of C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions" (2010),
    section 3.2.1: a discrete cosine transform of 32 x 32 grey levels, of which the 8 x 8 lowest are kept.
    """
    grey = _grey(image, (HASH_SIDE, HASH_SIDE))
    low = (_cosines() @ grey @ _cosines().T)[:LOW_SIDE, :LOW_SIDE].ravel()
    above = low > np.median(low[1:])  # the mean of the picture tells nothing of its shape
    return int("".join("1" if bit else "0" for bit in above), 2)


def _edges(image: Image.Image) -> Any:
    grey = _grey(image, EDGE_SIZE)
    return np.hypot(np.diff(grey, axis=1)[:-1], np.diff(grey, axis=0)[:, :-1]).ravel()


def _correlation(one: Any, other: Any) -> float:
    one, other = one - one.mean(), other - other.mean()
    scale = float(np.linalg.norm(one) * np.linalg.norm(other))
    if scale == 0.0:  # a screen without any edge is like another one only
        return 1.0 if np.allclose(one, other) else 0.0
    return float(one @ other) / scale


def _grey(image: Image.Image, size: tuple[int, int]) -> Any:
    below = (0, round(TOP_SHARE * image.height), *image.size)
    return np.asarray(image.resize(size, Image.Resampling.BOX, below).convert("L"), np.float64)


@cache
def _cosines() -> Any:
    """Rows of the discrete cosine transform (type II) of `HASH_SIDE` values."""
    place = np.arange(HASH_SIDE)
    return np.cos(np.pi * (place[None, :] + 0.5) * place[:, None] / HASH_SIDE)
