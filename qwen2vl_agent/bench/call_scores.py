"""Replies to steps of recorded work, scored: type match and exact match, whole and for each kind, and of episodes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qwen2vl_agent.bench.call_match import NO_CALL, CallMatch, match_action, match_call
from qwen2vl_agent.bench.statistics import rate
from qwen2vl_agent.data import aitz
from qwen2vl_agent.data.call_questions import CallQuestion
from qwen2vl_agent.dialogue.tool_call import FUNCTION, OPEN, cut_at_stop, parse_call
from qwen2vl_agent.schema.errors import ToolCallError
from qwen2vl_agent.schema.tools import ToolCall
from qwen2vl_agent.schema.trajectory import CallForm


@dataclass(frozen=True, slots=True)
class ScoredCall:
    """One step's reply."""

    episode: str
    kind: str
    match: CallMatch


def scored(question: CallQuestion, reply: str | None) -> ScoredCall:
    """How right a reply is; None, one that is missing, is wrong."""
    call = None if reply is None else _call(reply)
    return ScoredCall(question.episode, question.kind, _match(question, call))


def call_summary(suite: str, rows: Sequence[ScoredCall]) -> dict[str, Any]:
    """The scores of all steps, of each kind, and of whole episodes.

    An episode succeeds if every step's match is exact; its progress is the part of its steps before the first that is
    not. Source: `compute_atomic_metrics` and `compute_episode_metrics`, IMNearth/CoAT, `coat/evaluate.py`.
    """
    kinds = dict.fromkeys(sorted(row.kind for row in rows))
    episodes = [[row.match.exact for row in rows if row.episode == name] for name in dict.fromkeys(_episodes(rows))]
    return {
        "suite": suite,
        **_scores(rows),
        "kinds": {kind: _scores([row for row in rows if row.kind == kind]) for kind in kinds},
        "episodes": len(episodes),
        "episode_success": _mean([float(all(steps)) for steps in episodes]),
        "episode_progress": _mean([_progress(steps) for steps in episodes]),
    }


def _match(question: CallQuestion, call: ToolCall | None) -> CallMatch:
    if question.step is None:
        return match_call(question.truth, call)
    try:
        action = None if call is None else aitz.action_of(call)
    except (KeyError, TypeError, ValueError):  # a call of the model's, with whatever arguments
        return NO_CALL
    return match_action(question.step.action, action, aitz.elements(question.step, question.size))


def _call(reply: str) -> ToolCall | None:
    form: CallForm = "keyword" if FUNCTION in reply or OPEN not in reply else "tool_call"
    try:
        return parse_call(cut_at_stop(reply, form), form).call
    except ToolCallError:
        return None


def _scores(rows: Sequence[ScoredCall]) -> dict[str, Any]:
    exact = rate(row.match.exact for row in rows)
    ratios = [row.match.text_ratio for row in rows if row.match.text_ratio is not None]
    return {
        "steps": len(rows),
        "readable": _mean([float(row.match.readable) for row in rows]),
        "type_match": _mean([float(row.match.type) for row in rows]),
        "exact_match": _mean([float(row.match.exact) for row in rows]),
        "low": round(exact.low, 4),
        "high": round(exact.high, 4),
        **({"text_ratio": _mean(ratios)} if ratios else {}),
    }


def _progress(exact: Sequence[bool]) -> float:
    return (exact.index(False) if False in exact else len(exact)) / len(exact)


def _episodes(rows: Sequence[ScoredCall]) -> list[str]:
    return [row.episode for row in rows]


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 4) if values else 0.0
