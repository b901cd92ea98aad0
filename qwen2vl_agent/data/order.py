"""Orders of documents, another one in each epoch: as a list, or computed place by place for any number of them."""

import hashlib
from functools import lru_cache

import numpy as np
import numpy.typing as npt

ROUNDS = 4
"""Of the Feistel network. Source: Luby and Rackoff 1988: four give a pseudo-random permutation."""


@lru_cache(maxsize=8)
def epoch_order(count: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    """The numbers 0 .. count - 1 in a random order, read-only; that of a seed's epoch is the same everywhere."""
    order = np.random.Generator(np.random.Philox(key=[seed & (2**64 - 1), epoch])).permutation(count)
    order.setflags(write=False)
    return order


def shuffled(place: int, count: int, seed: int, epoch: int = 0) -> int:
    """The number in 0 .. count - 1 at `place` of a random order; each number stands at exactly one place.

    A Feistel network permutes the numbers below the next power of four; one that falls outside `count` is permuted
    again until it falls inside, which takes less than four rounds in the mean.

    Raises:
        ValueError: there is no such place.
    """
    if not 0 <= place < count:
        raise ValueError(f"place {place} of {count}")
    half = max(1, (count - 1).bit_length() + 1 >> 1)
    number = place
    while True:
        number = _permuted(number, half, seed, epoch)
        if number < count:
            return number


def _permuted(number: int, half: int, seed: int, epoch: int) -> int:
    mask = (1 << half) - 1
    left, right = number >> half, number & mask
    for turn in range(ROUNDS):
        key = b"%d/%d/%d/%d" % (seed, epoch, turn, right)
        mixed = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "little")
        left, right = right, left ^ (mixed & mask)
    return left << half | right
