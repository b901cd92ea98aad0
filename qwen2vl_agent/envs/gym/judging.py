"""Whether an environment says that it is solved, and how it says so. Where it does not say, that stays open."""

from dataclasses import dataclass
from typing import Any

from qwen2vl_agent.schema.trajectory import Outcome

FLAGS = ("is_success", "success", "solved", "task_completed")
"""Keys of `info` that say it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of an episode, and why one can say so."""

    outcome: Outcome
    message: str


def flagged(info: dict[str, Any]) -> bool | None:
    """What `info` says about success; None where it says nothing."""
    told = [info[name] for name in FLAGS if name in info]
    return any(bool(value) for value in told) if told else None


def verdict(solved: bool | None, earned: float, threshold: float | None) -> Verdict:
    """The verdict of a finished episode.

    Args:
        solved: what the environment said of success; None where it said nothing.
        earned: the sum of its rewards.
        threshold: the sum at which the environment's registration calls it solved; None where it has none.
    """
    told = f"earned {earned:g}"
    if solved is not None:
        return Verdict("success" if solved else "failure", told)
    if threshold is not None:
        outcome: Outcome = "success" if earned >= threshold else "failure"
        return Verdict(outcome, f"{told}; solved from {threshold:g} on")
    return Verdict("unverified", f"{told}; the environment does not say when it is solved")
