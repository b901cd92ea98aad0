"""Numbers to compare: every line says which way the number has to go."""

import re

import pytest

from qwen2vl_agent.data.synthetic.comparing import ComparingSource, compared
from qwen2vl_agent.envs.tasks import Decision
from qwen2vl_agent.envs.tasks.hand import comparing
from qwen2vl_agent.schema.actions import Done

SOURCE = ComparingSource(name="comparing", seed=3)


@pytest.mark.parametrize(
    ("now", "wanted", "said"),
    [(9, 10, "9, wanted 10: more."), (21, 12, "21, wanted 12: less."), (0, 0, "0, as wanted.")],
)
def test_the_words(now, wanted, said):
    assert compared("Ring volume", now, wanted) == f'Under "Ring volume": {said}'


def test_the_words_are_those_of_the_bundled_solutions():
    for now, wanted in ((3, 8), (8, 3), (8, 8)):
        said = comparing(Decision("Then.", Done()), "Minutes", now, wanted).thought
        assert said == compared("Minutes", now, wanted) + "\nThen."


def test_each_number_of_the_question_is_answered_in_its_order_and_rightly():
    ways = set()
    for index in range(80):
        _, user, assistant = SOURCE.example(index).messages
        lines, rest = assistant.parts[0].text.split("\n"), user.parts[0].text
        for line in lines:
            name, now = re.match(r'Under "(.*)": (\d+), ', line).groups()
            wanted = re.search(r"wanted (\d+): ", line)
            _, found, rest = rest.partition(f'"{name}" {now}. ')
            assert found
            goal = int(re.search(rf'"{re.escape(name)}"(?: to level| to| at|:) (\d+)', rest)[1])
            assert (int(wanted[1]) if wanted else int(now)) == goal
            way = line.rsplit(" ", 1)[1]
            assert way == {-1: "less.", 0: "wanted.", 1: "more."}[(goal > int(now)) - (goal < int(now))]
            ways.add(way)
    assert len(ways) == 3


def test_only_the_answer_is_learnt_and_an_example_is_a_function_of_its_number():
    one = SOURCE.example(7)
    assert [part.target for message in one.messages for part in message.parts] == [False, False, True]
    assert one == SOURCE.example(7) != SOURCE.example(8)
