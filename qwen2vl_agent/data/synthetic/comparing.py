"""Numbers to compare, in the words of a solution that brings a level to where it is wanted. No picture."""

import random
from dataclasses import dataclass

from qwen2vl_agent.data.example import Example
from qwen2vl_agent.data.synthetic.reading import SYSTEM
from qwen2vl_agent.data.synthetic.strings import label
from qwen2vl_agent.schema.messages import Message, TextPart

MOST = 8
"""Numbers of one example."""
LARGEST = (10, 60, 99)
"""Levels, minutes, and more."""
NEAR = 0.5
"""Share of numbers at most three apart, where it is easy to go too far."""
GOALS = ('Set "{}" to {}.', 'Put "{}" at {}.', 'I want "{}" at {}.', 'Change "{}" to level {}.', '"{}": {} minutes.')


def compared(name: str, now: int, wanted: int) -> str:
    """What a solution says of a number that it reads, before it changes it or goes on."""
    if now == wanted:
        return f'Under "{name}": {now}, as wanted.'
    return f'Under "{name}": {now}, wanted {wanted}: {"more" if now < wanted else "less"}.'


@dataclass(frozen=True, kw_only=True, slots=True)
class ComparingSource:
    """The user says what some numbers are and what they should be, the assistant which way each has to go."""

    name: str
    seed: int = 0

    def example(self, index: int) -> Example:
        rng = random.Random(f"{self.seed}/{self.name}/{index}")
        largest = rng.choice(LARGEST)
        names = [label(rng) for _ in range(rng.randint(1, MOST))]
        pairs = [_pair(rng, largest) for _ in names]
        asked = [
            f'"{name}" {now}. {rng.choice(GOALS).format(name, wanted)}'
            for name, (now, wanted) in zip(names, pairs, strict=True)
        ]
        written = [compared(name, *pair) for name, pair in zip(names, pairs, strict=True)]
        system, user = Message("system", (TextPart(SYSTEM),)), Message("user", (TextPart(" ".join(asked)),))
        return Example([system, user, Message("assistant", (TextPart("\n".join(written), target=True),))], self.name)


def _pair(rng: random.Random, largest: int) -> tuple[int, int]:
    now = rng.randint(0, largest)
    if rng.random() < NEAR:
        return now, min(largest, max(0, now + rng.randint(-3, 3)))
    return now, rng.randint(0, largest)
