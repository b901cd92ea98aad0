"""Small grid worlds from above: what is told of them, and ways that are the shortest."""

import random

import pytest

from qwen2vl_agent.envs.gym.grid_map import FORWARD, LEFT, RIGHT, Cell, GridMap, Pose, way_in_words

SIDE = 7
INSIDE = [(x, y) for x in range(1, SIDE - 1) for y in range(1, SIDE - 1)]
POSES = [Pose(x, y, facing) for x, y in INSIDE for facing in range(4)]


def distances(grid: GridMap, thing: Cell) -> dict[Pose, int]:
    """Moves to a pose in front of the thing, by relaxation over all poses until nothing changes."""
    free = [pose for pose in POSES if pose.cell not in grid.things]
    found = {pose: 0 for pose in free if pose.ahead == thing}
    while True:
        before = dict(found)
        for pose in free:
            nexts = [found[pose.after(move)] for move in (FORWARD, LEFT, RIGHT) if pose.after(move) in found]
            if nexts and found.get(pose, 10**6) > 1 + min(nexts):
                found[pose] = 1 + min(nexts)
        if found == before:
            return found


@pytest.mark.parametrize("seed", range(12))
def test_every_move_is_one_nearer_and_none_is_given_where_nothing_leads(seed):
    rng = random.Random(seed)
    grid = GridMap(SIDE, SIDE, dict.fromkeys(rng.sample(INSIDE, rng.randint(1, 14)), "r"))
    thing = rng.choice(list(grid.things))
    left = distances(grid, thing)
    for pose in POSES:
        if pose.cell in grid.things:
            continue
        move = grid.next_move(pose, thing)
        if left.get(pose, 0) == 0:
            assert move is None
        else:
            assert left[pose.after(move)] == left[pose] - 1


def test_straight_on_comes_before_a_turn_and_right_before_left():
    empty = GridMap(SIDE, SIDE, {(5, 5): "r"})
    assert empty.next_move(Pose(1, 1, 0), (5, 5)) == FORWARD
    assert empty.next_move(Pose(1, 1, 3), (5, 5)) == RIGHT
    assert empty.next_move(Pose(5, 2, 3), (5, 5)) == RIGHT  # it lies behind


def test_a_map_tells_every_cell_within_the_walls():
    grid = GridMap(5, 4, {(2, 1): "r", (3, 2): "#"})
    assert grid.told(Pose(1, 2, 3)) == "..11rr21..31 ^^12..22##32."


def test_what_is_told_of_a_way_names_what_is_ahead():
    grid = GridMap(5, 4, {(2, 1): "r"})
    assert grid.where(Pose(1, 2, 2), (2, 1)) == "I am <<12, ahead ##02, it is rr21: 1 right, 1 up."
    assert grid.where(Pose(1, 1, 0), (2, 1)) == "I am >>11, ahead rr21, it is rr21: 1 right."


@pytest.mark.parametrize(
    ("columns", "rows", "words"), [(3, 0, "3 right"), (0, -4, "4 up"), (-1, 2, "1 left, 2 down"), (0, 0, "here")]
)
def test_ways_in_words(columns, rows, words):
    assert way_in_words(columns, rows) == words
