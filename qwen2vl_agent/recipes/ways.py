"""Maps of small worlds in words, to look things up in and to find the way on. No picture.

A network that has copied nothing yet does not find its own words again: it reads every cell of a room rightly, and then
guesses where among them the thing is that it is asked for. One or two digits of a reply of two hundred tokens are too
little to learn it from (`docs/log.md`); here nothing else is asked.
"""

import random
from dataclasses import dataclass

from qwen2vl_agent.data.example import Example
from qwen2vl_agent.data.synthetic.reading import SYSTEM
from qwen2vl_agent.envs.gym.grid_map import LETTERS, Cell, GridMap, Pose
from qwen2vl_agent.envs.gym.minigrid import MOVES
from qwen2vl_agent.schema.messages import Message, TextPart

SIDE = 8
"""Cells along a side, walls counted, as in BabyAI's single rooms."""
MOST = 12
"""Things in a world."""
ASKED = 12
"""Questions to a world."""
BLOCKED = 0.3
"""Share of the questions in which a thing stands in front of the agent."""
LETTERS_OF_THINGS = "".join(letter for colours in LETTERS.values() for letter in colours.values())


@dataclass(frozen=True, kw_only=True, slots=True)
class WaySource:
    """A world is given, cell by cell as thoughts tell it; the assistant says where a thing is and the next move there.

    Each question has the agent elsewhere, as in the course of an episode, whose map is told once.
    """

    name: str
    seed: int = 0

    def example(self, index: int) -> Example:
        rng = random.Random(f"{self.seed}/{self.name}/{index}")
        inside = [(x, y) for y in range(1, SIDE - 1) for x in range(1, SIDE - 1)]
        me, *places = rng.sample(inside, 1 + rng.randint(4, MOST))
        grid = GridMap(SIDE, SIDE, dict(zip(places, rng.sample(LETTERS_OF_THINGS, len(places)), strict=True)))
        parts = [TextPart(f"{grid.told(Pose(*me, rng.randrange(4)))}\n")]
        poses = [Pose(*cell, facing) for cell in inside if cell not in grid.things for facing in range(4)]
        blocked = [pose for pose in poses if pose.ahead in grid.things] or poses
        for _ in range(ASKED):
            pose = rng.choice(blocked if rng.random() < BLOCKED else poses)
            parts += _asked(grid, pose, rng.choice(places))
        system, user = Message("system", (TextPart(SYSTEM),)), Message("user", (TextPart("Where is what?"),))
        return Example([system, user, Message("assistant", tuple(parts))], self.name)


def _asked(grid: GridMap, pose: Pose, thing: Cell) -> list[TextPart]:
    """What is ahead, where the thing is and what to do, all but the pose and the thing's letters to be learned."""
    move = grid.next_move(pose, thing)
    if move is None:
        return []
    told = f"{grid.where(pose, thing)} Go there: {MOVES[move].about.lower()}."
    me, ahead, it, place = told[:9], told[9:21], told[21:31], told[31:]
    return [TextPart(me), TextPart(ahead, target=True), TextPart(it), TextPart(place, target=True), TextPart("\n")]
