"""Maps of small worlds in words, to look things up in and to find the way on. No picture.

A network that has copied nothing yet does not find its own words again: it reads every cell of a room rightly, and then
guesses where among them the thing is that it is asked for. One or two digits of a reply of two hundred tokens are too
little to learn it from (`docs/log.md`); here nothing else is asked.
"""

import random
from dataclasses import dataclass

from qwen2vl_agent.data.example import Example
from qwen2vl_agent.data.synthetic.reading import SYSTEM
from qwen2vl_agent.envs.gym.minigrid import FACING, LETTERS, way_in_words
from qwen2vl_agent.schema.messages import Message, TextPart

SIDE = 6
"""Cells along a side, as a thought about a room of 8 x 8 tells within its walls."""
MOST = 12
"""Things in a world."""
LETTERS_OF_THINGS = "".join(letter for colours in LETTERS.values() for letter in colours.values())


@dataclass(frozen=True, kw_only=True, slots=True)
class WaySource:
    """A world is given, cell by cell as thoughts tell it; the assistant says where each thing is and the way there."""

    name: str
    seed: int = 0

    def example(self, index: int) -> Example:
        rng = random.Random(f"{self.seed}/{self.name}/{index}")
        cells = [(x, y) for y in range(1, SIDE + 1) for x in range(1, SIDE + 1)]
        me, *places = rng.sample(cells, 1 + rng.randint(4, MOST))
        agent = 2 * rng.choice(FACING)
        things = dict(zip(places, rng.sample(LETTERS_OF_THINGS, len(places)), strict=True))
        parts = [TextPart(_map(me, agent, things))]
        for place in rng.sample(places, len(places)):
            way = way_in_words(place[0] - me[0], place[1] - me[1])
            parts.append(TextPart(f"I am {agent}{me[0]}{me[1]}, it is {2 * things[place]}"))
            parts.append(TextPart(f"{place[0]}{place[1]}: {way}.", target=True))
            parts.append(TextPart("\n"))
        system, user = Message("system", (TextPart(SYSTEM),)), Message("user", (TextPart("Where is what?"),))
        return Example([system, user, Message("assistant", tuple(parts))], self.name)


def _map(me: tuple[int, int], agent: str, things: dict[tuple[int, int], str]) -> str:
    rows = []
    for y in range(1, SIDE + 1):
        shown = [agent if (x, y) == me else 2 * things.get((x, y), ".") for x in range(1, SIDE + 1)]
        rows.append("".join(f"{cell}{x}{y}" for x, cell in enumerate(shown, start=1)))
    return " ".join(rows) + ". "
