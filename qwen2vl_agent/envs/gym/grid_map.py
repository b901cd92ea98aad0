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
DETOUR = 4
"""Moves that a simple way may take more than the shortest one."""
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
        """Every cell in turn, row by row, the agent among them: column and row, what is there, column and row again.

        `11..11 21rr21`: a red key at column 2, row 1. A thing has its letter twice, nothing is `..`, a wall `##`. Who
        looks for a cell finds what is there behind its numbers, and who looks for a thing its numbers behind it.
        """
        cells = ((x, y) for y in range(1, self.height - 1) for x in range(1, self.width - 1))
        seen = {cell: FACING[pose.facing] if cell == pose.cell else self.seen(cell) for cell in cells}
        return f"{' '.join(f'{x}{y}{2 * what}{x}{y}' for (x, y), what in seen.items())}."

    def seen(self, cell: Cell) -> str:
        """What is in a cell: one of `LETTERS`, `FREE` or `WALL`."""
        inside = 0 < cell[0] < self.width - 1 and 0 < cell[1] < self.height - 1
        return self.things.get(cell, FREE) if inside else WALL

    def where(self, pose: Pose, thing: Cell) -> str:
        """The agent, what is in front of it, and the way on the picture to a thing.

        `I am vv21, ahead 22.., it is rr53: 3 right, 1 down.`
        """
        me, ahead = f"{2 * FACING[pose.facing]}{pose.x}{pose.y}", f"{pose.ahead[0]}{pose.ahead[1]}"
        way = way_in_words(thing[0] - pose.x, thing[1] - pose.y)
        it = f"{2 * self.seen(thing)}{thing[0]}{thing[1]}"
        return f"I am {me}, ahead {ahead}{2 * self.seen(pose.ahead)}, it is {it}: {way}."

    def next_move(self, pose: Pose, thing: Cell) -> int | None:
        """The next move of a short way that ends in front of a thing; None where there is none, or it is there.

        It is `straight`'s as long as that leads there with at most `DETOUR` moves more than the shortest way, else the
        shortest way's: a rule that is easily learned, with exceptions where something stands in between.
        """
        best = self.shortest(pose, thing)
        if not best:
            return None
        here, first = pose, straight(pose, thing, self._is_free(pose.ahead))
        for _ in range(len(best) + DETOUR):
            here = here.after(straight(here, thing, self._is_free(here.ahead)))
            if here.ahead == thing:
                return first
        return best[0]

    def shortest(self, pose: Pose, thing: Cell) -> tuple[int, ...]:
        """The moves of a shortest way that ends in front of a thing; empty where there is none, or it is there."""
        ways: dict[Pose, tuple[int, ...]] = {pose: ()}
        waiting = deque([pose])
        while waiting:
            here = waiting.popleft()
            if here.ahead == thing:
                return ways[here]
            for move in (FORWARD, RIGHT, LEFT):
                there = here.after(move)
                if there not in ways and (move != FORWARD or self._is_free(there.cell)):
                    ways[there] = (*ways[here], move)
                    waiting.append(there)
        return ()

    def _is_free(self, cell: Cell) -> bool:
        return self.seen(cell) == FREE


def straight(pose: Pose, thing: Cell, free: bool) -> int:
    """The next move of somebody who knows where the thing is and whether the cell ahead is free, and no more.

    On, as long as that leads nearer; else towards the side on which the thing lies; right where it lies behind.
    """
    offset = thing[0] - pose.x, thing[1] - pose.y

    def nearer(facing: int) -> bool:
        return sum(step * way for step, way in zip(STEPS[facing % 4], offset, strict=True)) > 0

    if free and nearer(pose.facing):
        return FORWARD
    return LEFT if nearer(pose.facing - 1) and not nearer(pose.facing + 1) else RIGHT


def way_in_words(columns: int, rows: int) -> str:
    """The way to a cell so many columns to the right and rows down: `3 left, 4 up`, `0 right, 1 down`."""
    across, along = ("left", "right")[columns >= 0], ("up", "down")[rows >= 0]
    return f"{abs(columns)} {across}, {abs(rows)} {along}"
