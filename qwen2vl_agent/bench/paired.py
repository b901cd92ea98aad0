"""Statistics of two policies that did the same episodes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from qwen2vl_agent.bench.statistics import wilson_interval


@dataclass(frozen=True, slots=True)
class Paired:
    """How often both, one or none of two policies solved an episode."""

    both: int
    only_a: int
    only_b: int
    neither: int

    @property
    def episodes(self) -> int:
        """All of them."""
        return self.both + self.only_a + self.only_b + self.neither

    @property
    def a(self) -> float:
        """Share that A solved; 0 of nothing."""
        return (self.both + self.only_a) / self.episodes if self.episodes else 0.0

    @property
    def b(self) -> float:
        """Share that B solved; 0 of nothing."""
        return (self.both + self.only_b) / self.episodes if self.episodes else 0.0

    @property
    def difference(self) -> float:
        """Share that B solved less the share that A solved."""
        return self.b - self.a

    @property
    def p_value(self) -> float:
        """Chance of episodes at least as one-sided as these if the two were equally good; see `mcnemar`."""
        return mcnemar(self.only_a, self.only_b)

    @property
    def interval(self) -> tuple[float, float]:
        """What holds the true difference with 95 % confidence; see `paired_interval`."""
        return paired_interval(self)


def count(pairs: Sequence[tuple[bool, bool]]) -> Paired:
    """The counts of episodes, each with whether A and whether B solved it."""
    return Paired(
        both=sum(a and b for a, b in pairs),
        only_a=sum(a and not b for a, b in pairs),
        only_b=sum(b and not a for a, b in pairs),
        neither=sum(not a and not b for a, b in pairs),
    )


def mcnemar(only_a: int, only_b: int) -> float:
    """The exact two-sided p-value of McNemar's test: only episodes that one of the two solved tell them apart.

    Were they equally good, each such episode would fall to A or B like a fair coin. 12 to 2: 0.0129.

    Source: Q. McNemar, Psychometrika 12 (1947), in its exact binomial form.
    """
    told = only_a + only_b
    fewer = min(only_a, only_b)
    tail = sum(math.comb(told, number) for number in range(fewer + 1)) / 2**told
    return min(1.0, 2 * tail)


def paired_interval(counts: Paired, confidence: float = 0.95) -> tuple[float, float]:
    """Lower and upper bound of B's share less A's; (-1, 1) without episodes.

    Wilson's intervals of the two shares are squared and added, with the correlation phi of the pairs taken off:

        d - sqrt(db² - 2·phi·db·da' + da'²), d + sqrt(db'² - 2·phi·db'·da + da²)

    where da, da' are the distances of A's share from its bounds below and above, and db, db' those of B's.

    Source: R. G. Newcombe, Statistics in Medicine 17 (1998) 2635-2650, method 10.
    """
    if counts.episodes == 0:
        return -1.0, 1.0
    a_low, a_high = wilson_interval(counts.both + counts.only_a, counts.episodes, confidence)
    b_low, b_high = wilson_interval(counts.both + counts.only_b, counts.episodes, confidence)
    phi = _correlation(counts)
    below, above = counts.b - b_low, a_high - counts.a
    low = counts.difference - math.sqrt(max(0.0, below**2 - 2 * phi * below * above + above**2))
    upper, lower = b_high - counts.b, counts.a - a_low
    high = counts.difference + math.sqrt(max(0.0, upper**2 - 2 * phi * upper * lower + lower**2))
    return max(-1.0, low), min(1.0, high)


def _correlation(counts: Paired) -> float:
    """Phi of the fourfold table, drawn towards 0 by half an episode's worth where it is positive."""
    a, b, c, d = counts.both, counts.only_a, counts.only_b, counts.neither
    product = (a + b) * (c + d) * (a + c) * (b + d)
    if product == 0:
        return 0.0
    excess = float(a * d - b * c)
    if excess > 0:
        excess = max(excess - counts.episodes / 2, 0.0)
    return excess / math.sqrt(product)
