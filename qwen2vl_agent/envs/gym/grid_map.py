"""A small grid world from above: what stands where, in words, and the shortest way to one of its things."""

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

FACING = (">", "v", "<", "^")
"""Of the directions 0 to 3, as MiniGrid numbers them."""
STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))
"""Columns and rows of a step in each direction."""
LETTERS = {
    "key": {"red": "r", "green": "g", "blue": "b", "purple": "p", "yellow": "y", "grey": "e"},
    "ball": {"red": "R", "green": "G", "blue": "B", "purple": "P", "yellow": "Y", "grey": "E"},
    "box": {"red": "s", "green": "h", "blue": "c", "purple": "q", "yellow": "z", "grey": "f"},
    "door": {"red": "S", "green": "H", "blue": "C", "purple": "Q", "yellow": "Z", "grey": "F"},
}
"""Of a thing in a thought's map, by kind and colour."""
FREE, WALL = ".", "#"
LEFT, RIGHT, FORWARD = 0, 1, 2
"""Source: `minigrid.core.actions.Actions`."""
Cell = tuple[int, int]
"""Column and row, counted from the upper left corner, which is a wall."""


class Pose(NamedTuple):
    """Where the agent is and which way it faces, 0 to 3."""

    x: int
    y: int
    facing: int

    @property
    def cell(self) -> Cell:
        """Without the way it faces."""
        return self.x, self.y

    @property
    def ahead(self) -> Cell:
        """The cell in front."""
        columns, rows = STEPS[self.facing]
        return self.x + columns, self.y + rows

    def after(self, move: int) -> "Pose":
        """The pose after a move that nothing hinders."""
        if move == FORWARD:
            return Pose(*self.ahead, self.facing)
        return Pose(self.x, self.y, (self.facing + (1 if move == RIGHT else -1)) % 4)


@dataclass(frozen=True, slots=True)
class GridMap:
    """A world within its walls."""

    width: int
    """Cells along a row, both walls counted."""
    height: int
    things: dict[Cell, str]
    """A character for each cell that is not free: one of `LETTERS`, or `WALL` for a wall inside."""

    def told(self, pose: Pose) -> str:
        """Cell by cell and row by row, the agent among them."""
        rows = (
            "".join(
                named(FACING[pose.facing], (x, y)) if (x, y) == pose.cell else self.cell((x, y))
                for x in range(1, self.width - 1)
            )
            for y in range(1, self.height - 1)
        )
        return f"{' '.join(rows)}."

    def cell(self, cell: Cell) -> str:
        """What is in a cell, with column and row: four characters, so that what is told of a cell stands in its place.

        A thing has its letter twice (`rr25`, a red key), nothing is `..`, a wall `##`.
        """
        inside = 0 < cell[0] < self.width - 1 and 0 < cell[1] < self.height - 1
        return named(self.things.get(cell, FREE) if inside else WALL, cell)

    def where(self, pose: Pose, thing: Cell) -> str:
        """The agent, what is in front of it, and the way on the picture to a thing.

        `I am vv21, ahead ..22, it is rr53: 3 right, 2 down.`
        """
        me = named(FACING[pose.facing], pose.cell)
        way = way_in_words(thing[0] - pose.x, thing[1] - pose.y)
        return f"I am {me}, ahead {self.cell(pose.ahead)}, it is {self.cell(thing)}: {way}."

    def next_move(self, pose: Pose, thing: Cell) -> int | None:
        """The first move of the shortest way that ends in front of a thing; None where there is none, or it is there.

        Among equals: straight on before a turn, and right before left.
        """
        came: dict[Pose, int | None] = {pose: None}
        waiting = deque([pose])
        while waiting:
            here = waiting.popleft()
            if here.ahead == thing:
                return came[here]
            for move in (FORWARD, RIGHT, LEFT):
                there = here.after(move)
                if there not in came and (move != FORWARD or self.cell(there.cell)[0] == FREE):
                    came[there] = move if here == pose else came[here]
                    waiting.append(there)
        return None


def named(seen: str, cell: Cell) -> str:
    """What is seen in a cell, twice, and the cell: `rr25`."""
    return f"{2 * seen}{cell[0]}{cell[1]}"


def way_in_words(columns: int, rows: int) -> str:
    """The way to a cell so many columns to the right and rows down: `3 left, 4 up`."""
    parts = ((columns, ("right", "left")), (rows, ("down", "up")))
    return ", ".join(f"{abs(cells)} {names[cells < 0]}" for cells, names in parts if cells) or "here"
