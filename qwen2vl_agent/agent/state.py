"""What an episode is while it runs: who takes part, how far it is, what is wanted, and what came of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypedDict

from qwen2vl_agent.agent.guards import LoopGuard
from qwen2vl_agent.agent.person import Answer, Nobody, Person, Question
from qwen2vl_agent.agent.policy import Policy
from qwen2vl_agent.agent.rules import Judge, Rules
from qwen2vl_agent.agent.settings import AgentConfig
from qwen2vl_agent.agent.watcher import Watcher
from qwen2vl_agent.dialogue.compose import Dialogue, Turn
from qwen2vl_agent.schema.observation import Observation
from qwen2vl_agent.schema.tools import ToolCall
from qwen2vl_agent.schema.trajectory import Outcome, Reply, StepEvent, StoredClip, StoredFrame
from qwen2vl_agent.trajectory.record import Recorder

Node = Literal["observe", "think", "decide", "consult", "act", "end"]


class Progress(TypedDict):
    """How far an episode is. Plain and small: pixels and token ids stay in the record, this names them."""

    index: int
    """Of the step under way."""
    screen: str
    """Hash of the frame now shown, by which loops are told."""
    mistakes: int
    """Replies in a row that could not be read or deed."""
    reward: float
    outcome: Outcome | None
    message: str
    question: dict[str, Any] | None
    """What a person is being asked; see `agent/person.py`."""
    refusal: str
    """Why the call at hand is not done; empty where it may be."""
    answer: str | None
    """What the person answered to the call at hand, an `ask_user`."""
    events: list[StepEvent]
    """What was noticed of the step under way before it was acted."""
    then: Node
    """Where it goes on after deciding and consulting."""


START: Progress = {
    "index": 0,
    "screen": "",
    "mistakes": 0,
    "reward": 0.0,
    "outcome": None,
    "message": "",
    "question": None,
    "refusal": "",
    "answer": None,
    "events": [],
    "then": "observe",
}


NEXT: dict[str, Node] = {"observe": "think", "think": "decide", "act": "observe"}


class Ending(NamedTuple):
    """How an episode ends, and a word about it."""

    outcome: Outcome
    message: str = ""


@dataclass(slots=True)
class Episode:
    """An episode under way: who takes part, what was said so far, and what the step at hand has found."""

    env: Any
    policy: Policy
    recorder: Recorder
    dialogue: Dialogue
    config: AgentConfig
    watcher: Watcher
    max_steps: int
    verdict: bool
    """Whether the environment knows if the task is solved."""
    guard: LoopGuard
    judge: Judge = field(default_factory=lambda: Judge(Rules()))
    person: Person = field(default_factory=Nobody)
    ask: Callable[[Question], Answer] | None = None
    """How the person is asked where that is not `person.answer`: the graph interrupts itself."""
    turns: list[Turn] = field(default_factory=list)
    observation: Observation | None = None
    frame: StoredFrame | None = None
    clip: StoredClip | None = None
    app: str = ""
    """Package of the app that shows the observation."""
    fresh: bool = True
    """Whether the environment has moved on since the last look; after an unreadable reply it has not."""
    reply: Reply | None = None
    policy_s: float = 0.0


@dataclass(slots=True)
class Deed:
    """What became of a call."""

    call: ToolCall | None = None
    action: Any = None
    error: str = ""
    performed: dict[str, Any] | None = None
    reward: float = 0.0
    terminated: bool = False
    truncated: bool = False
    verdict: Ending | None = None
    """The environment's own, where it gives one at the last step."""
    earned: float | None = None
    """The sum of the rewards so far, where the environment counts it; else the last reward stands for the episode."""
    timings: dict[str, float] = field(default_factory=dict)
    events: tuple[StepEvent, ...] = ()
    effect: float | None = None
    """What a second look found."""


@dataclass(frozen=True, slots=True)
class Intention:
    """What a reply asks for."""

    call: ToolCall | None = None
    action: Any = None
    error: str = ""
    """Why it cannot be read, or is not valid; there is no action then."""
