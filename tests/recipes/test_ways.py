"""What is asked of a map in words is what a thought about such a world tells."""

import re

from qwen2vl_agent.envs.gym.grid_map import FACING, FREE, GridMap, Pose
from qwen2vl_agent.recipes.ways import SIDE, WaySource

WORDS = {"turn left": 0, "turn right": 1, "go one cell forward": 2}
LINE = re.compile(
    r"I am (?P<facing>.).(?P<x>\d)(?P<y>\d), ahead (?P<ahead>....), it is (?P<thing>....): (?P<way>[^.]+)\. "
    r"Go there: (?P<move>[^.]+)\."
)


def walked(x: int, y: int, way: str) -> tuple[int, int]:
    """Where the words of a way lead."""
    for count, name in re.findall(r"(\d) (\w+)", way):
        steps = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}[name]
        x, y = x + steps[0] * int(count), y + steps[1] * int(count)
    return x, y


def test_every_answer_is_what_the_map_tells_and_its_move_leads_there():
    source = WaySource(name="ways", seed=5)
    for index in range(40):
        told, *lines = "".join(part.text for part in source.example(index).messages[-1].parts).splitlines()
        cells = {(int(x), int(y)): seen for x, y, seen in re.findall(r"(\d)(\d)(\S)\3\1\2", told)}
        assert len(cells) == (SIDE - 2) ** 2
        assert sum(seen in FACING for seen in cells.values()) == 1
        things = {cell: seen for cell, seen in cells.items() if seen not in (FREE, *FACING)}
        grid = GridMap(SIDE, SIDE, things)
        assert len(lines) > 6
        for line in lines:
            found = LINE.fullmatch(line)
            pose = Pose(int(found["x"]), int(found["y"]), FACING.index(found["facing"]))
            place = int(found["thing"][2]), int(found["thing"][3])
            assert found["ahead"] == f"{pose.ahead[0]}{pose.ahead[1]}{2 * grid.seen(pose.ahead)}"
            assert things[place] == found["thing"][0]
            assert walked(*pose.cell, found["way"]) == place
            assert WORDS[found["move"]] == grid.next_move(pose, place)


def test_all_but_the_pose_and_the_asked_letters_is_learned_and_an_index_gives_one_example():
    one, again = (WaySource(name="ways", seed=5).example(7).messages[-1].parts for _ in range(2))
    assert one == again
    assert [part.target for part in one] == [False, *[False, True, False, True, False] * (len(one) // 5)]
    assert all(re.fullmatch(r"I am (.)\1\d\d", part.text) for part in one[1::5])
    assert all(re.fullmatch(r", it is (.)\1", part.text) for part in one[3::5])
    assert one != WaySource(name="ways", seed=6).example(7).messages[-1].parts
