"""What selection looks at: a recorded episode in a few facts."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qwen2vl_agent.schema.geometry import MODEL_GRID
from qwen2vl_agent.schema.tools import ToolCall
from qwen2vl_agent.schema.trajectory import Outcome, Step
from qwen2vl_agent.trajectory.store import read_episode

CELL = MODEL_GRID // 40
"""Points of the same cell of this side count as the same place when calls are compared."""


@dataclass(frozen=True, slots=True)
class Decided:
    """What was done in a situation: the same goal, the same past, the same screen."""

    situation: str
    call: str
    target: bool
    """Whether it is to be learned."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An episode that may be learned from."""

    folder: Path
    task: str
    goal: str
    outcome: Outcome | None
    decisions: tuple[Decided, ...]
    repeats: int
    """How often the most frequent call was made on one and the same screen."""
    told_loop: bool
    """Whether the agent itself noticed a loop."""
    by_person: int
    """Steps that a person did: corrections."""
    missed: str = ""
    """The task that it was to do, where hindsight tells it as another."""
    words: tuple[tuple[str, int], ...] = ()
    """Whose words its targets are, and how many: `model`, `person`, `solution`, `templates` or `teacher NAME`."""

    @property
    def steps(self) -> int:
        """All of them."""
        return len(self.decisions)

    @property
    def learned(self) -> int:
        """Steps that are to be learned."""
        return sum(decision.target for decision in self.decisions)

    @property
    def likeness(self) -> tuple[str, tuple[str, ...]]:
        """Equal for episodes that teach the same: goal and calls, points to within a cell."""
        return self.goal, tuple(decision.call for decision in self.decisions)


def candidate(folder: Path) -> Candidate:
    """The facts of an episode.

    Raises:
        RecordError: no episode there, or damaged.
    """
    trajectory = read_episode(folder, prompts=False)
    header, steps = trajectory.header, trajectory.steps
    seen = Counter((step.frame.sha256, call_key(step.call)) for step in steps)
    return Candidate(
        folder=folder,
        task=header.task,
        goal=header.goal,
        outcome=header.outcome,
        decisions=tuple(_decisions(header.goal, steps)),
        repeats=max(seen.values(), default=0),
        told_loop=any("loop" in step.events for step in steps),
        by_person=sum(step.by == "person" for step in steps),
        missed=header.config.get("hindsight", {}).get("task", ""),
        words=tuple(sorted(Counter(whose(step) for step in steps if _is_lesson(step)).items())),
    )


def whose(step: Step) -> str:
    """Who wrote a step's words."""
    if step.by == "person":
        return "person"
    return step.reply.thought_by or ("model" if step.reply.token_ids else "solution")


def _is_lesson(step: Step) -> bool:
    return step.reply.target and not step.error


def call_key(call: ToolCall | None) -> str:
    """A call as text, points coarsened to cells."""
    if call is None:
        return "none"
    arguments = {name: _coarse(value) for name, value in sorted(call.arguments.items())}
    return f"{call.name} {json.dumps(arguments, ensure_ascii=False)}"


def _coarse(value: Any) -> Any:
    place = isinstance(value, list) and len(value) == 2 and all(isinstance(number, int | float) for number in value)
    return [int(number) // CELL for number in value] if place else value


def _decisions(goal: str, steps: list[Step]) -> list[Decided]:
    made, past = [], goal
    for step in steps:
        call = call_key(step.call)
        situation = f"{past}\n{step.frame.sha256}"
        made.append(Decided(situation, call, _is_lesson(step)))
        past = f"{situation} {call}"
    return made
