"""The ways that are asked of a map in words are those that a thought about such a world tells."""

import re

from qwen2vl_agent.recipes.ways import SIDE, WaySource

PLACE = re.compile(r"it is (\S)\1$")


def walked(x: int, y: int, way: str) -> tuple[int, int]:
    """Where the words of a way lead."""
    for count, name in re.findall(r"(\d) (\w+)", way):
        steps = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}[name]
        x, y = x + steps[0] * int(count), y + steps[1] * int(count)
    return x, y


def test_every_answer_is_the_place_that_the_map_tells_and_its_way_leads_there():
    source = WaySource(name="ways", seed=5)
    for index in range(40):
        assistant = source.example(index).messages[-1]
        world, *rest = [part.text for part in assistant.parts]
        cells = {(int(x), int(y)): seen for seen, x, y in re.findall(r"(\S)\1(\d)(\d)", world)}
        assert len(cells) == SIDE**2
        (me,) = [place for place, seen in cells.items() if seen in "<>^v"]
        answers = list(zip(rest[::3], rest[1::3], strict=True))
        assert len(answers) == sum(seen not in ".<>^v" for seen in cells.values())
        for asked, answer in answers:
            x, y, way = int(answer[0]), int(answer[1]), answer[4:]
            assert asked.startswith(f"I am {2 * cells[me]}{me[0]}{me[1]}, ")
            assert cells[x, y] == PLACE.search(asked)[1]
            assert walked(*me, way) == (x, y)


def test_the_answers_alone_are_learned_and_an_index_gives_one_example():
    one, again = (WaySource(name="ways", seed=5).example(7).messages[-1].parts for _ in range(2))
    assert one == again
    assert [part.target for part in one] == [False, *[False, True, False] * (len(one) // 3)]
    assert one != WaySource(name="ways", seed=6).example(7).messages[-1].parts
