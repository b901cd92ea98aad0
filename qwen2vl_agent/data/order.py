"""An order of any number of documents that needs no list: a permutation computed place by place."""

import hashlib

ROUNDS = 4
"""Of the Feistel network. Source: Luby and Rackoff 1988: four give a pseudo-random permutation."""


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
