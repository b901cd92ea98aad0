"""Rooms of Sokoban, and what a move does in them. Cells are (row, column), counted from the top left."""

from dataclasses import dataclass

Cell = tuple[int, int]
DIRECTIONS: dict[str, Cell] = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}


@dataclass(frozen=True, slots=True)
class Room:
    """What stays."""

    size: int
    """Rows, and columns, the wall around them included."""
    floor: frozenset[Cell]
    """All else is wall."""
    goals: frozenset[Cell]


@dataclass(frozen=True, slots=True)
class Position:
    """What moves."""

    player: Cell
    boxes: frozenset[Cell]


def beside(cell: Cell, direction: str, cells: int = 1) -> Cell:
    """The cell that lies so far in a direction; `cells` of -1 is the one behind."""
    rows, columns = DIRECTIONS[direction]
    return cell[0] + cells * rows, cell[1] + cells * columns


def moved(room: Room, position: Position, direction: str) -> Position:
    """One step, pushing a box that is in the way. What cannot be done changes nothing.

    Worked example, player `@`, box `$`, wall `#`, to the right: `@$ #` becomes ` @$#`, and that stays as it is.
    """
    ahead = beside(position.player, direction)
    if ahead not in room.floor:
        return position
    if ahead not in position.boxes:
        return Position(ahead, position.boxes)
    behind = beside(ahead, direction)
    if behind not in room.floor or behind in position.boxes:
        return position
    return Position(ahead, position.boxes - {ahead} | {behind})


def is_solved(room: Room, position: Position) -> bool:
    """Whether every box stands on a goal."""
    return position.boxes <= room.goals
