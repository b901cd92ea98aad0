"""A bundled task: what is asked, whether it is solved, and what to do next on any screen."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.words import Words
from qwen2vl_agent.schema.actions import Action
from qwen2vl_agent.schema.observation import Element

Params = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Decision:
    """The right next action, and a short reason that names its target by what is written on it."""

    thought: str
    action: Action


class ShowsScreen(Protocol):
    """What a screen can be taken from: the in-process virtual phone, or anything that looks like it."""

    state: PhoneState
    size: tuple[int, int]

    @property
    def foreground(self) -> tuple[str, str]:
        """Package and activity in front."""
        ...

    def elements(self) -> list[Element]:
        """What is visible, in device pixels."""
        ...


@dataclass(slots=True)
class Screen:
    """All that an oracle may look at; an in-process phone and one behind adb both give it."""

    elements: list[Element]
    """What is visible, in device pixels."""
    state: PhoneState
    size: tuple[int, int]
    """Width and height of the device in pixels."""
    foreground: tuple[str, str]
    """Package and activity in front."""

    @classmethod
    def of(cls, phone: ShowsScreen) -> "Screen":
        """The screen that an in-process phone shows now."""
        return cls(phone.elements(), phone.state, phone.size, phone.foreground)


@dataclass(frozen=True, kw_only=True, slots=True)
class Template:
    """A kind of task; seeds make tasks of it."""

    id: str
    """`app.verb`."""
    goals: tuple[str, ...]
    """Paraphrased instructions with `{param}` places."""
    draw: Callable[[Random, PhoneState, Words], Params | None]
    """The parameters for a phone, which it may change first; None where the phone does not suit the task."""
    solved: Callable[["Task", PhoneState, str | None], bool]
    """Whether the state, and the answer where one is asked for, is what the task asks. Pure."""
    decide: Callable[["Task", Screen], Decision]
    """The right next action on any screen. Pure."""
    steps: int
    """Actions that the oracle needs at most, the closing one included."""
    edition: str = "first"
    """The edition of the phone that it is drawn for."""
    targets: tuple[str, ...] = ()
    """The parameters whose words decide whether a task counts as unseen."""


@dataclass(frozen=True, slots=True)
class Task:
    """One instruction on one phone."""

    id: str
    seed: int
    goal: str
    params: Params
    unseen: bool
    """Whether the target's text has words that training never shows."""
    max_steps: int
    start: PhoneState = field(repr=False)
    """The phone when the task begins; not to be changed."""
    template: Template = field(repr=False)

    def initial_state(self) -> PhoneState:
        """A fresh copy of the phone when the task begins."""
        return self.start.copy()

    def score(self, state: PhoneState, answer: str | None = None) -> float:
        """1.0 where the task is solved, else 0.0; `answer` is what the agent answered, None while it has not."""
        return float(self.template.solved(self, state, answer))

    def oracle(self, screen: Screen) -> Decision:
        """The right next action on any screen; it remembers nothing, so it also mends what others did wrong."""
        return self.template.decide(self, screen)
