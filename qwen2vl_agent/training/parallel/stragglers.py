"""Which processes hold the others up, and whether by a slow device or by heavy data.

Processes of one pipeline stage do the same with different rows. What each spent computing in a step is set beside the
work that its rows were: seconds = slowness x (a + b x work), with a and b of the stage and a slowness of each replica.
A slow device has a slowness above the others'; heavy data have more work at the same slowness.

Source: Qwen2-VL technical report §2.3 (stragglers), MegaScale, arXiv 2402.15627 §5 (per-stage comparison).
"""

from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

SLOW = 1.25
"""From this slowness on, beside the quicker half of the replicas, a device is called slow."""
HEAVY = 1.15
"""From this much work on, beside the mean of the replicas, data are called heavy."""
ROUNDS = 20
Verdict = Literal["even", "slow device", "heavy data"]


@dataclass(frozen=True, slots=True)
class Timing:
    """What one process measured in some steps."""

    rank: int
    host: str
    stage: int
    replica: int
    part: int
    seconds: tuple[float, ...]
    """Spent computing in each step, waiting for other stages left out."""
    work: tuple[float, ...]
    """Floating point operations of its rows in each of them."""
    memory_gib: float = 0.0
    """The most that it has held so far."""


@dataclass(frozen=True, slots=True)
class Finding:
    """How one process compares with those that do the same."""

    rank: int
    host: str
    stage: int
    replica: int
    part: int
    seconds: float
    """Of a step, in the mean."""
    slowness: float
    """Time for the same work, beside the quicker half of the replicas; 1 is as quick."""
    work: float
    """Beside the mean of the replicas; 1 is as much."""
    verdict: Verdict

    def told(self) -> str:
        """One line for the operator."""
        where = f"rank {self.rank} on {self.host} (stage {self.stage}, replica {self.replica})"
        if self.verdict == "slow device":
            return f"{where} takes {self.slowness:.2f} times as long as others for the same work: look at its device"
        return f"{where} has {self.work:.2f} times the others' work: its rows are heavy, its device is not slow"

    def to_json(self) -> dict[str, Any]:
        """Its fields."""
        return asdict(self)


def compare(timings: list[Timing]) -> list[Finding]:
    """Each process beside those of the same stage and tensor-parallel part; a replica alone has nothing beside it."""
    alike: dict[tuple[int, int], list[Timing]] = defaultdict(list)
    for timing in timings:
        alike[timing.stage, timing.part].append(timing)
    return [finding for group in alike.values() for finding in _compared(group)]


def _compared(group: list[Timing]) -> list[Finding]:
    slowness = _slowness([np.array(t.seconds) for t in group], [np.array(t.work) for t in group])
    works = np.array([np.mean(timing.work) for timing in group])
    shares = works / max(works.mean(), 1e-9)
    return [
        Finding(
            t.rank, t.host, t.stage, t.replica, t.part, float(np.mean(t.seconds)), slow, share, _verdict(slow, share)
        )
        for t, slow, share in zip(group, slowness, shares.tolist(), strict=True)
    ]


def _verdict(slowness: float, work: float) -> Verdict:
    if slowness >= SLOW:
        return "slow device"
    return "heavy data" if work >= HEAVY else "even"


def _slowness(seconds: list[np.ndarray], work: list[np.ndarray]) -> list[float]:
    """Of each replica: line and factors in turn, until they agree."""
    factors = np.ones(len(seconds))
    for _ in range(ROUNDS):
        scaled = np.concatenate([spent / factor for spent, factor in zip(seconds, factors, strict=True)])
        line = _line(np.concatenate(work), scaled)
        ratios = [float(np.median(s / np.maximum(line(w), 1e-9))) for s, w in zip(seconds, work, strict=True)]
        quicker_half = sorted(ratios)[(len(ratios) - 1) // 2]
        factors = np.maximum(np.array(ratios) / max(quicker_half, 1e-9), 1e-3)
    return factors.tolist()


def _line(work: np.ndarray, seconds: np.ndarray) -> np.poly1d:
    """a + b x work by least squares, neither below zero."""
    spread = work - work.mean()
    slope = max(float((spread * seconds).sum() / max((spread**2).sum(), 1e-30)), 0.0)
    start = float(seconds.mean() - slope * work.mean())
    if start < 0:
        start, slope = 0.0, float(seconds.mean() / max(work.mean(), 1e-30))
    return np.poly1d([slope, start])
