"""How often a client may ask: a bucket of requests for each address, which fills again at an even pace."""

import time
from collections import OrderedDict
from collections.abc import Callable

MOST_ADDRESSES = 1024
"""Whose buckets are kept; the one that asked longest ago is forgotten first."""


class RateLimit:
    """Token buckets by address."""

    def __init__(self, per_s: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        """At most `burst` requests at once, and `per_s` a second over a long time."""
        if per_s <= 0 or burst < 1:
            raise ValueError(f"{per_s} requests a second, {burst} at once: both have to be positive")
        self._per_s, self._burst, self._clock = per_s, burst, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, address: str) -> float:
        """Take one request out of the address's bucket; 0, or how long until there is one to take.

        Worked example, 2 a second, 3 at once: 0, 0, 0, then 0.5; half a second later 0 again.
        """
        now = self._clock()
        left, since = self._buckets.pop(address, (float(self._burst), now))
        left = min(float(self._burst), left + (now - since) * self._per_s)
        wait = 0.0 if left >= 1 else (1 - left) / self._per_s
        self._buckets[address] = (left - 1 if not wait else left, now)
        while len(self._buckets) > MOST_ADDRESSES:
            self._buckets.popitem(last=False)
        return wait
