"""Success rates with their uncertainty."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import NormalDist


@dataclass(frozen=True, slots=True)
class Rate:
    """A share of successes, and the interval that holds the true share with 95 % confidence."""

    success: float
    """Observed share, 0 to 1; 0 where nothing was observed."""
    episodes: int
    low: float
    high: float


def wilson_interval(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Lower and upper bound of a share, good for few trials and for shares near 0 and 1; (0, 1) without trials.

    With p = successes / trials, n = trials and z the normal quantile of the confidence:

        (p + z²/2n ± z · sqrt(p(1 - p)/n + z²/4n²)) / (1 + z²/n)

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes in {trials} trials")
    if trials == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / trials
    scale = 1 + z * z / trials
    middle = (share + z * z / (2 * trials)) / scale
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)) / scale
    # The formula reaches 0 and 1 exactly at the ends; rounding must not step over them.
    low = 0.0 if successes == 0 else max(0.0, middle - half)
    high = 1.0 if successes == trials else min(1.0, middle + half)
    return low, high


def rate(solved: Iterable[bool]) -> Rate:
    """The success rate of some episodes."""
    outcomes = list(solved)
    successes, trials = sum(outcomes), len(outcomes)
    low, high = wilson_interval(successes, trials)
    return Rate(successes / trials if trials else 0.0, trials, low, high)
