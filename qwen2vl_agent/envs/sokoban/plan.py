"""Solving Sokoban: the fewest moves, by A* over pushes, with dead cells and blocked squares left out."""

import heapq
import itertools
from collections import deque
from collections.abc import Iterator, Mapping

from qwen2vl_agent.envs.sokoban.room import DIRECTIONS, Cell, Position, Room, beside, is_solved

Way = tuple[str, ...]
"""Directions one after the other."""


def shortest(room: Room, begin: Position) -> Way | None:
    """A shortest way to the end; None where none leads there any more."""
    pushes = least_pushes(room)
    if any(box not in pushes for box in begin.boxes):
        return None
    number = itertools.count()
    queue = [(_needed(pushes, begin), next(number), 0, begin)]
    found: dict[Position, tuple[int, Position | None, Way]] = {begin: (0, None, ())}
    while queue:
        _, _, moves, position = heapq.heappop(queue)
        if moves > found[position][0]:
            continue
        if is_solved(room, position):
            return _traced(found, position)
        for way, pushed in _after_a_push(room, position):
            known = found.get(pushed)
            total = moves + len(way)
            if (known is None or total < known[0]) and not _is_stuck(room, pushes, pushed):
                found[pushed] = (total, position, way)
                heapq.heappush(queue, (total + _needed(pushes, pushed), next(number), total, pushed))
    return None


def least_pushes(room: Room) -> dict[Cell, int]:
    """For every cell from which a box alone in the room can be pushed to a goal: the pushes to the nearest one.

    All other cells are dead: a box there is lost. Found by pulling a box away from each goal.
    """
    pushes = dict.fromkeys(room.goals, 0)
    queue = deque(room.goals)
    while queue:
        cell = queue.popleft()
        for direction in DIRECTIONS:
            before, stand = beside(cell, direction, -1), beside(cell, direction, -2)
            if before in room.floor and stand in room.floor and before not in pushes:
                pushes[before] = pushes[cell] + 1
                queue.append(before)
    return pushes


def _needed(pushes: Mapping[Cell, int], position: Position) -> int:
    """Pushes that are needed at least, each box going to the goal nearest to it."""
    return sum(pushes[box] for box in position.boxes)


def _after_a_push(room: Room, position: Position) -> Iterator[tuple[Way, Position]]:
    """Every push that the player can walk to: the way there, the push itself its last move, and what comes of it."""
    reached = walks(room, position)
    for box in position.boxes:
        for direction in DIRECTIONS:
            walk, to = reached.get(beside(box, direction, -1)), beside(box, direction)
            if walk is not None and to in room.floor and to not in position.boxes:
                yield (*walk, direction), Position(box, position.boxes - {box} | {to})


def walks(room: Room, position: Position) -> dict[Cell, Way]:
    """A shortest walk to each cell that the player reaches without a push."""
    found: dict[Cell, Way] = {position.player: ()}
    queue = deque([position.player])
    while queue:
        cell = queue.popleft()
        for direction in DIRECTIONS:
            to = beside(cell, direction)
            if to in room.floor and to not in position.boxes and to not in found:
                found[to] = (*found[cell], direction)
                queue.append(to)
    return found


def _is_stuck(room: Room, pushes: Mapping[Cell, int], position: Position) -> bool:
    """Whether a box next to the player, as the one just pushed is, can never come to a goal.

    It stands on a dead cell, or in a square of two by two cells that walls and boxes fill, one of them off its goal.
    """
    pushed = {beside(position.player, direction) for direction in DIRECTIONS} & position.boxes
    return any(box not in pushes or _is_blocked(room, position, box) for box in pushed)


def _is_blocked(room: Room, position: Position, box: Cell) -> bool:
    for down, right in itertools.product((-1, 0), repeat=2):
        square = [(box[0] + down + i, box[1] + right + j) for i, j in itertools.product((0, 1), repeat=2)]
        full = all(cell not in room.floor or cell in position.boxes for cell in square)
        if full and any(cell in position.boxes and cell not in room.goals for cell in square):
            return True
    return False


def _traced(found: Mapping[Position, tuple[int, Position | None, Way]], end: Position) -> Way:
    legs: list[Way] = []
    position: Position | None = end
    while position is not None:
        _, position, way = found[position]
        legs.append(way)
    return tuple(direction for leg in reversed(legs) for direction in leg)
