"""What `run` tells a program: one object for an episode, or for several."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qwen2vl_agent.schema.trajectory import Trajectory


def episode_result(trajectory: "Trajectory", out: Path, dry_run: bool) -> dict[str, Any]:
    """The object of one episode. A dry run sends nothing, so it has nothing to judge."""
    header = trajectory.header
    timings: dict[str, float] = {}
    tokens: Counter[str] = Counter()
    for step in trajectory.steps:
        tokens.update(step.reply.tokens)
        for part, seconds in (*step.timings.items(), *step.reply.timings.items()):
            timings[part] = timings.get(part, 0.0) + seconds
    return {
        "outcome": "unverified" if dry_run else header.outcome,
        "reward": header.reward,
        "steps": len(trajectory.steps),
        "trajectory": str(out),
        "timings": {part: round(seconds, 4) for part, seconds in timings.items()},
        "tokens": dict(tokens),
        "task": header.task,
        "goal": header.goal,
        "message": "dry run: no action was sent" if dry_run else header.message,
    }


def together(results: list[dict[str, Any]]) -> dict[str, Any]:
    """The object of several episodes: the worst outcome, means and sums, and each one's own."""
    order = ("error", "stopped", "failure", "unverified", "success")
    return {
        "outcome": min((result["outcome"] for result in results), key=order.index),
        "reward": sum(result["reward"] for result in results) / len(results),
        "steps": sum(result["steps"] for result in results),
        "trajectory": [result["trajectory"] for result in results],
        "timings": {},
        "episodes": results,
    }
