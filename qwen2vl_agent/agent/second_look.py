"""A second look: after a step the model is asked, apart from the conversation, whether it had the effect it wanted.

What it finds is recorded with the step, and a doubt is told with the next screen (`agent/effects.py`). So the
conversation follows from the record, and a resumed episode asks nothing twice.
"""

import dataclasses
import time
from typing import Protocol, runtime_checkable

from qwen2vl_agent.agent.effects import HARMLESS
from qwen2vl_agent.dialogue.compose import Dialogue
from qwen2vl_agent.dialogue.second_look import SecondLook
from qwen2vl_agent.dialogue.tool_call import parse_call
from qwen2vl_agent.schema.messages import ImagePart
from qwen2vl_agent.schema.tools import ToolCall

CERTAIN_ENOUGH = 0.5
"""Probability of an effect below which it is doubted."""


@runtime_checkable
class LooksTwice(Protocol):
    """A policy that can judge a step by the screens before and after it."""

    def effect(self, look: SecondLook) -> float | None:
        """Probability that the step had the effect that was wanted; None where the model gives no answer."""
        ...


def worth_a_look(action: object, events: tuple[str, ...]) -> bool:
    """Whether there is anything to see: where no pixel changed, that is known already."""
    return not isinstance(action, HARMLESS) and "unchanged" not in events


def said_of(reply: str, call: ToolCall, dialogue: Dialogue) -> str:
    """A step in words: its thought, and its call."""
    thought = parse_call(reply, dialogue.form).thought
    return f"{thought} {call.name}({', '.join(f'{name}={value}' for name, value in call.arguments.items())})"


@dataclasses.dataclass(frozen=True, slots=True)
class Judged:
    """What a second look found."""

    effect: float | None
    seconds: float

    @property
    def doubted(self) -> bool:
        """Whether the model rather thinks that the step missed its effect."""
        return self.effect is not None and self.effect < CERTAIN_ENOUGH


def look_twice(policy: LooksTwice, dialogue: Dialogue, said: str, before: ImagePart, after: ImagePart) -> Judged:
    """Ask the model, and take the time."""
    begun = time.perf_counter()
    look = SecondLook(goal=dialogue.goal, said=said, before=before, after=after, language=dialogue.language)
    effect = policy.effect(look)
    return Judged(effect, time.perf_counter() - begun)
