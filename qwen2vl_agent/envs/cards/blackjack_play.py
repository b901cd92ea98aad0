"""The best play of a hand of blackjack from an endless deck, by working backwards through every hand."""

import functools
from collections.abc import Sequence

CHANCES = dict.fromkeys(range(1, 10), 1 / 13) | {10: 4 / 13}
"""Of drawing a card that counts so much."""
STANDS_AT, MOST = 17, 21
STAND, HIT = 0, 1


def total(points: Sequence[int]) -> tuple[int, bool]:
    """What a hand counts, and whether an ace in it counts 11."""
    reached = sum(points)
    soft = 1 in points and reached + 10 <= MOST
    return (reached + 10, True) if soft else (reached, False)


def drawn(reached: int, soft: bool, points: int) -> tuple[int, bool]:
    """What a hand counts after one more card."""
    hard = reached - 10 if soft else reached
    has_ace = soft or points == 1
    more = hard + points
    return (more + 10, True) if has_ace and more + 10 <= MOST else (more, False)


@functools.cache
def dealer_ends(reached: int, soft: bool) -> tuple[tuple[int, float], ...]:
    """How a dealer at `reached` ends: each total (22 for over 21) with its chance."""
    if reached >= STANDS_AT:
        return ((min(reached, MOST + 1), 1.0),)
    ends: dict[int, float] = {}
    for points, chance in CHANCES.items():
        for end, share in dealer_ends(*drawn(reached, soft, points)):
            ends[end] = ends.get(end, 0.0) + chance * share
    return tuple(ends.items())


@functools.cache
def standing(reached: int, shown: int) -> float:
    """The chance to win by standing, against the card shown."""
    start = (11, True) if shown == 1 else (shown, False)
    return sum(chance for end, chance in dealer_ends(*start) if end > MOST or end < reached)


@functools.cache
def best(reached: int, soft: bool, shown: int) -> tuple[int, float]:
    """The action that wins most often, 0 to stand or 1 to hit, and the chance to win that it leaves."""
    stay, hit = standing(reached, shown), 0.0
    for points, chance in CHANCES.items():
        after = drawn(reached, soft, points)
        hit += chance * best(*after, shown)[1] if after[0] <= MOST else 0.0
    return (HIT, hit) if hit > stay else (STAND, stay)


def chance_to_win() -> float:
    """Of a hand that is played best, before the cards are dealt."""
    return sum(
        a * b * c * best(*total((first, second)), shown)[1]
        for first, a in CHANCES.items()
        for second, b in CHANCES.items()
        for shown, c in CHANCES.items()
    )
