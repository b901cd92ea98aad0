"""How far a model's confidence can be believed: calls sorted by it, and how many of each sort were right.

A call is right if the bundled solution, on the same screen, would do the same. Episodes are done again beside the
solution; after a wrong call the solution starts from where that led, so every step counts.
"""

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from qwen2vl_agent.agent.difference import Said, difference
from qwen2vl_agent.bench.statistics import Rate, rate
from qwen2vl_agent.schema.tools import to_call
from qwen2vl_agent.trajectory.store import read_episode

EDGES = (0.0, 0.5, 0.8, 0.9, 0.95, 0.99, 1.0)
"""Of the sorts: most calls are made with a confidence near 1, so the sorts grow narrow there."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A call, how sure the model was of it, and whether it was right."""

    confidence: float
    right: bool


@dataclass(frozen=True, slots=True)
class Sort:
    """Calls of about the same confidence."""

    low: float
    high: float
    mean: float
    """Of the confidences."""
    right: Rate


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was found."""

    calls: int
    sorts: tuple[Sort, ...]
    error: float
    """Expected calibration error: the mean distance between confidence and share of right calls, over all calls."""
    brier: float
    """Mean square of confidence less 1 for a right call, less 0 for a wrong one; 0 is best."""


def calibration(judged: Iterable[Judged]) -> Calibration:
    """Sort calls by their confidence. Source of the error: Guo et al., arXiv 1706.04599, section 2."""
    calls = list(judged)
    sorts, error = [], 0.0
    for low, high in itertools.pairwise(EDGES):
        inside = [call for call in calls if low <= call.confidence < high or (high == 1.0 and call.confidence >= 1.0)]
        if not inside:
            continue
        mean = math.fsum(call.confidence for call in inside) / len(inside)
        right = rate(call.right for call in inside)
        sorts.append(Sort(low, high, mean, right))
        error += len(inside) / len(calls) * abs(mean - right.success)
    squares = math.fsum((call.confidence - call.right) ** 2 for call in calls)
    return Calibration(len(calls), tuple(sorts), error, squares / len(calls) if calls else 0.0)


def judged_calls(folder: Path) -> Iterator[Judged]:
    """The calls of a recorded episode of a bundled task; none where it was free text or no confidence was recorded."""
    from qwen2vl_agent.envs.register import make_env

    trajectory = read_episode(folder)
    header = trajectory.header
    if header.task == "text" or not any(step.reply.confidence is not None for step in trajectory.steps):
        return
    env = make_env(header.device, **header.config.get("job", {}).get("env_kwargs", {}))
    try:
        env.reset(seed=header.seed, options={"task": header.task, "split": header.config["split"]})
        for step in trajectory.steps:
            decision = env.oracle()
            solution = Said(decision.thought, to_call(decision.action))
            said = Said(step.reply.text, step.call, step.error)
            wrong = difference(said, solution, env.device.elements(), env.device.frame)
            if step.reply.confidence is not None:
                yield Judged(step.reply.confidence, not wrong)
            if step.call is not None and not step.error:
                env.step(step.call)
    finally:
        env.close()
