"""Levels of Sokoban out of chance, searched backwards from their end: what was pulled there can be pushed back."""

from collections.abc import Iterator

import numpy as np

from qwen2vl_agent.envs.sokoban.plan import shortest, walks
from qwen2vl_agent.envs.sokoban.room import DIRECTIONS, Cell, Position, Room, beside

SMALLEST, LARGEST = 6, 10
"""Of a room's sides, the wall around it included."""
MOST_BOXES, SPACE = 3, 5
"""In any room; and the cells of floor for each box, at least."""
OPEN = 0.65
"""Share of the cells within the outer wall that are floor."""
LONGEST = 100
"""Moves: no level's shortest solution is longer."""
MOST_SEEN = 400
"""Positions that the search backwards looks at."""
HARD, EASIEST = 0.6, 2
"""Levels begin at least so far from the end: as a share of the farthest position that was seen, and in pushes a box."""


def check_level(size: int, boxes: int) -> None:
    """See that there are levels of this kind.

    Raises:
        ValueError: there are none, or hardly any, or finding their solutions takes long.
    """
    if not SMALLEST <= size <= LARGEST:
        raise ValueError(f"size is {size}; expected a room of {SMALLEST} to {LARGEST} cells to each side")
    most = min(MOST_BOXES, _floor_cells(size) // SPACE)
    if not 1 <= boxes <= most:
        raise ValueError(f"boxes is {boxes}; expected 1 to {most} in a room of {size} cells to each side")


def draw_level(random: np.random.Generator, size: int, boxes: int) -> tuple[Room, Position]:
    """A room, and where player and boxes begin: no box on a goal, and at most `LONGEST` moves from the end."""
    while True:
        room = draw_room(random, size, boxes)
        begin = draw_begin(random, room)
        if begin is not None and len(shortest(room, begin) or ()) in range(1, LONGEST + 1):
            return room, begin


def _floor_cells(size: int) -> int:
    return round(OPEN * (size - 2) ** 2)


def draw_room(random: np.random.Generator, size: int, boxes: int) -> Room:
    """A room whose floor hangs together, since one random walk cut it out."""
    cell = (int(random.integers(1, size - 1)), int(random.integers(1, size - 1)))
    floor = {cell}
    while len(floor) < _floor_cells(size):
        row, column = beside(cell, tuple(DIRECTIONS)[int(random.integers(len(DIRECTIONS)))])
        cell = min(max(row, 1), size - 2), min(max(column, 1), size - 2)
        floor.add(cell)
    goals = random.choice(sorted(floor), boxes, replace=False)
    return Room(size, frozenset(floor), frozenset((int(row), int(column)) for row, column in goals))


def draw_begin(random: np.random.Generator, room: Room) -> Position | None:
    """One of the positions far from the end, no box on a goal; None where there is none."""
    begins = {at: pushes for at, pushes in pushes_to_end(room).items() if not at.boxes & room.goals}
    enough = max(EASIEST * len(room.goals), HARD * max(begins.values(), default=0))
    hard = [at for at, pushes in begins.items() if pushes >= enough]
    if not hard:
        return None
    chosen = hard[int(random.integers(len(hard)))]
    free = sorted(walks(room, chosen))
    return Position(free[int(random.integers(len(free)))], chosen.boxes)


def pushes_to_end(room: Room) -> dict[Position, int]:
    """The fewest pushes to the end from the positions nearest to it. The player may be anywhere that he can walk to."""
    ends = {_known_as(room, Position(cell, room.goals)) for cell in room.floor - room.goals}
    found = dict.fromkeys(sorted(ends, key=lambda end: end.player), 0)
    queue = list(found)
    for position in queue:  # which grows meanwhile
        if len(found) >= MOST_SEEN:
            break
        for before in _before_a_push(room, position):
            if before not in found:
                found[before] = found[position] + 1
                queue.append(before)
    return found


def _before_a_push(room: Room, position: Position) -> Iterator[Position]:
    """The positions one push before: a box is pulled to where the player stands, who goes one cell back."""
    reached = walks(room, position)
    for box in sorted(position.boxes):
        for direction in DIRECTIONS:
            stand, back = beside(box, direction), beside(box, direction, 2)
            if stand in reached and back in room.floor and back not in position.boxes:
                yield _known_as(room, Position(back, position.boxes - {box} | {stand}))


def _known_as(room: Room, position: Position) -> Position:
    """The one position that stands for all that the player can walk to from here."""
    first: Cell = min(walks(room, position))
    return Position(first, position.boxes)
