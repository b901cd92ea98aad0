"""Which recorded episodes are learned from, how much each counts, and why: every decision is told.

The steps, in this order: what the environment judged a failure goes; then what is too long, goes in circles or holds
more mistakes than lessons; then what teaches the same as another; then what contradicts another on the very same
situation; then what is too much of one task.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from qwen2vl_agent.flywheel.candidate import Candidate
from qwen2vl_agent.schema.trajectory import Outcome


@dataclass(frozen=True, kw_only=True, slots=True)
class SelectSettings:
    """Where the limits are."""

    outcomes: tuple[Outcome, ...] = ("success",)
    longest: float = 2.5
    """Steps of an episode, at most this many times its task's median."""
    repeats: int = 3
    """The same call on the same screen more often is a loop."""
    least_learned: float = 0.4
    """Share of an episode's steps that are to be learned, at least."""
    balance: float = 2.0
    """Episodes of a task, at most this many times the mean over tasks."""
    person_weight: float = 4.0
    """What an episode with a person's corrections counts."""

    def __post_init__(self) -> None:
        if self.longest < 1 or self.balance < 1:
            raise ValueError("longest and balance are multiples of a middle; expected 1 or more")
        if self.repeats < 1:
            raise ValueError(f"repeats is {self.repeats}; expected at least 1")
        if not 0 <= self.least_learned <= 1:
            raise ValueError(f"least_learned is {self.least_learned}; expected a share")
        if self.person_weight <= 0:
            raise ValueError(f"person_weight is {self.person_weight}; expected more than 0")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided of an episode."""

    candidate: Candidate
    weight: float
    """0: it is not learned from."""
    rule: str
    """By which rule, in one word."""
    why: str

    @property
    def kept(self) -> bool:
        """Whether it is learned from."""
        return self.weight > 0

    @property
    def folder(self) -> Path:
        """The episode's."""
        return self.candidate.folder


def select(candidates: Sequence[Candidate], settings: SelectSettings | None = None) -> list[Verdict]:
    """A verdict for each episode, in their order."""
    settings = settings or SelectSettings()
    verdicts: dict[Path, Verdict] = {}

    def drop(rule: str, found: Iterable[tuple[Candidate, str]]) -> None:
        verdicts.update({one.folder: Verdict(one, 0.0, rule, why) for one, why in found})

    def left() -> list[Candidate]:
        return [one for one in candidates if one.folder not in verdicts]

    drop("outcome", _failed(left(), settings.outcomes))
    drop("length", _too_long(left(), settings.longest))
    drop("loop", _looping(left(), settings.repeats))
    drop("mistakes", _mistaken(left(), settings.least_learned))
    drop("duplicate", _duplicates(left()))
    drop("contradiction", _contradicting(left()))
    drop("balance", _too_many(left(), settings.balance))
    for one in left():
        verdicts[one.folder] = _kept(one, settings)
    return [verdicts[one.folder] for one in candidates]


def _failed(candidates: Iterable[Candidate], outcomes: tuple[Outcome, ...]) -> Iterable[tuple[Candidate, str]]:
    for one in candidates:
        if one.outcome not in outcomes:
            yield one, f"it ended as {one.outcome or 'unfinished'}, by the environment's own check"


def _too_long(candidates: Sequence[Candidate], longest: float) -> Iterable[tuple[Candidate, str]]:
    lengths = defaultdict(list)
    for one in candidates:
        lengths[one.task].append(one.steps)
    for one in candidates:
        middle = median(lengths[one.task])
        if one.steps > longest * middle:
            yield one, f"{one.steps} steps, where half of its task's episodes need at most {middle:g}"


def _looping(candidates: Iterable[Candidate], repeats: int) -> Iterable[tuple[Candidate, str]]:
    for one in candidates:
        if one.told_loop or one.repeats > repeats:
            yield one, f"it made the same call {one.repeats} times on one screen"


def _mistaken(candidates: Iterable[Candidate], least: float) -> Iterable[tuple[Candidate, str]]:
    for one in candidates:
        if one.learned == 0 or one.learned < least * one.steps:
            yield one, f"{one.learned} of {one.steps} steps are to be learned; the rest are mistakes"


def _duplicates(candidates: Iterable[Candidate]) -> Iterable[tuple[Candidate, str]]:
    first: dict[object, Candidate] = {}
    for one in candidates:
        other = first.setdefault(one.likeness, one)
        if other is not one:
            yield one, f"same goal and same calls as {other.folder.name}"


def _contradicting(candidates: Sequence[Candidate]) -> Iterable[tuple[Candidate, str]]:
    """Of episodes that do different things in the same situation, those that took longer; equals keep the first."""
    said: dict[str, dict[str, Candidate]] = defaultdict(dict)
    order = {one.folder: (one.steps, place) for place, one in enumerate(candidates)}
    for one in sorted(candidates, key=lambda one: order[one.folder]):
        against = None
        for decision in one.decisions:
            if decision.target:
                against = against or next(
                    (other for call, other in said[decision.situation].items() if call != decision.call), None
                )
        if against is not None:
            yield one, f"it does otherwise than {against.folder.name}, which is no longer, on the very same screen"
            continue
        for decision in one.decisions:
            if decision.target:
                said[decision.situation].setdefault(decision.call, one)


def _too_many(candidates: Sequence[Candidate], balance: float) -> Iterable[tuple[Candidate, str]]:
    counts = Counter(one.task for one in candidates)
    if not counts:
        return
    most = math.ceil(balance * len(candidates) / len(counts))
    taken: Counter[str] = Counter()
    for one in sorted(candidates, key=lambda one: -one.by_person):  # a person's work goes last
        taken[one.task] += 1
        if taken[one.task] > most:
            yield one, f"{counts[one.task]} episodes of {one.task}; at most {most} keep the tasks in balance"


def _kept(one: Candidate, settings: SelectSettings) -> Verdict:
    if one.by_person:
        why = f"a person corrected {one.by_person} of its {one.steps} steps"
        return Verdict(one, settings.person_weight, "person", why)
    told = f"; it missed {one.missed}, and is told as {one.task}, which it did" if one.missed else ""
    return Verdict(one, 1.0, "kept", f"{one.learned} of {one.steps} steps are to be learned{told}")
