"""Small grid worlds from above: what is told of them, and ways that are the shortest."""

import random

import pytest

from qwen2vl_agent.envs.gym.grid_map import DETOUR, FORWARD, LEFT, RIGHT, Cell, GridMap, Pose, straight, way_in_words

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


def worlds(count: int, most: int):
    """Worlds and one of their things."""
    for seed in range(count):
        rng = random.Random(seed)
        grid = GridMap(SIDE, SIDE, dict.fromkeys(rng.sample(INSIDE, rng.randint(1, most)), "r"))
        yield grid, rng.choice(list(grid.things)), rng


def test_the_shortest_way_is_as_long_as_it_must_be():
    for grid, thing, _ in worlds(10, 14):
        left = distances(grid, thing)
        for pose in POSES:
            if pose.cell not in grid.things:
                assert len(grid.shortest(pose, thing)) == left.get(pose, 0)


def test_moves_lead_there_past_all_things_with_a_small_detour_at_most():
    walked = 0
    for grid, thing, rng in worlds(60, 9):
        pose = rng.choice([pose for pose in POSES if pose.cell not in grid.things])
        left, moves = distances(grid, thing).get(pose, 0), 0
        while pose.ahead != thing and (move := grid.next_move(pose, thing)) is not None:
            pose, moves = pose.after(move), moves + 1
            assert pose.cell not in grid.things
            assert pose.cell in INSIDE
            assert moves <= left + DETOUR
        assert pose.ahead == thing or left == 0
        walked += moves
    assert walked > 200


def test_nothing_leads_to_what_is_walled_in():
    grid = GridMap(SIDE, SIDE, dict.fromkeys([(1, 1), (2, 1), (1, 2)], "r"))
    assert grid.next_move(Pose(5, 5, 0), (1, 1)) is None
    assert grid.next_move(Pose(5, 5, 0), (2, 1)) is not None


@pytest.mark.parametrize(
    ("pose", "free", "move"),
    [
        (Pose(1, 1, 0), True, FORWARD),
        (Pose(1, 1, 0), False, RIGHT),  # it lies to the right as well
        (Pose(1, 1, 3), True, RIGHT),
        (Pose(1, 4, 3), True, RIGHT),
        (Pose(5, 1, 0), True, RIGHT),
        (Pose(3, 1, 2), True, LEFT),
        (Pose(4, 1, 3), True, RIGHT),  # it lies behind
    ],
)
def test_straight_on_leads_nearer_or_turns_to_where_it_lies(pose, free, move):
    assert straight(pose, (4, 4), free) == move


def test_a_map_tells_every_cell_within_the_walls():
    grid = GridMap(5, 4, {(2, 1): "r", (3, 2): "#"})
    assert grid.told(Pose(1, 2, 3)) == "11..11 21rr21 31..31 12^^12 22..22 32##32."


def test_what_is_told_of_a_way_names_what_is_ahead():
    grid = GridMap(5, 4, {(2, 1): "r"})
    assert grid.where(Pose(1, 2, 2), (2, 1)) == "I am <<12, ahead 02##, it is rr21: 1 right, 1 up."
    assert grid.where(Pose(1, 1, 0), (2, 1)) == "I am >>11, ahead 21rr, it is rr21: 1 right, 0 down."


@pytest.mark.parametrize(
    ("columns", "rows", "words"), [(3, 0, "3 right, 0 down"), (0, -4, "0 right, 4 up"), (-1, 2, "1 left, 2 down")]
)
def test_ways_in_words(columns, rows, words):
    assert way_in_words(columns, rows) == words
