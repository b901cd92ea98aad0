"""Numbers to compare, in the words of a solution that brings a level to where it is wanted. No picture."""

import random
from dataclasses import dataclass

from qwen2vl_agent.data.example import Example
from qwen2vl_agent.data.synthetic.reading import SYSTEM
from qwen2vl_agent.data.synthetic.strings import label
from qwen2vl_agent.schema.messages import Message, TextPart

MOST = 16
"""Numbers of one example."""
LARGEST = (10, 60, 99)
"""Levels, minutes, and more."""
NEAR = 0.5
"""Share of numbers at most three apart, where it is easy to go too far."""
LONGEST = 10
"""Letters of a name: copying is learned elsewhere."""
GOALS = ('Set "{}" to {}.', 'Put "{}" at {}.', 'I want "{}" at {}.', 'Change "{}" to level {}.', '"{}": {} minutes.')


def compared(name: str, now: int, wanted: int) -> str:
    """What a solution says of a number that it reads, before it changes it or goes on."""
    return _read(name, now) + _judged(now, wanted)


def _read(name: str, now: int) -> str:
    return f'Under "{name}": {now}, '


def _judged(now: int, wanted: int) -> str:
    if now == wanted:
        return "as wanted."
    return f"wanted {wanted}: {'more' if now < wanted else 'less'}."


@dataclass(frozen=True, kw_only=True, slots=True)
class ComparingSource:
    """The user says what some numbers should be, the assistant what they are and which way each has to go.

    What is read is given: were it a target too, one word in thirty would be the comparison, and a model that writes the
    others well has no reason to learn it (`docs/log.md`).
    """

    name: str
    seed: int = 0

    def example(self, index: int) -> Example:
        rng = random.Random(f"{self.seed}/{self.name}/{index}")
        largest = rng.choice(LARGEST)
        names = sorted({label(rng)[:LONGEST].strip() for _ in range(rng.randint(1, MOST))})
        pairs = [_pair(rng, largest) for _ in names]
        asked = [rng.choice(GOALS).format(name, wanted) for name, (_, wanted) in zip(names, pairs, strict=True)]
        parts: list[TextPart] = []
        for name, (now, wanted) in zip(names, pairs, strict=True):
            parts += [TextPart(_read(name, now)), TextPart(f"{_judged(now, wanted)}\n", target=True)]
        system, user = Message("system", (TextPart(SYSTEM),)), Message("user", (TextPart(" ".join(asked)),))
        return Example([system, user, Message("assistant", tuple(parts))], self.name)


def _pair(rng: random.Random, largest: int) -> tuple[int, int]:
    now = rng.randint(0, largest)
    if rng.random() < NEAR:
        return now, min(largest, max(0, now + rng.randint(-3, 3)))
    return now, rng.randint(0, largest)
