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


def test_each_number_is_judged_in_its_order_and_rightly():
    ways = set()
    for index in range(80):
        _, user, assistant = SOURCE.example(index).messages
        given, said = assistant.parts[::2], assistant.parts[1::2]
        assert len(given) == len(said) >= 1
        rest = user.parts[0].text
        for before, after in zip(given, said, strict=True):
            name, now = re.fullmatch(r'Under "(.*)": (\d+), ', before.text).groups()
            goal = re.search(rf'"{re.escape(name)}"(?: to level| to| at|:) (\d+)', rest)
            rest = rest[goal.end() :]
            assert before.text + after.text == compared(name, int(now), int(goal[1])) + "\n"
            ways.add(after.text.rsplit(" ", 1)[1])
    assert ways == {"less.\n", "wanted.\n", "more.\n"}


def test_only_the_judgement_is_learnt_and_an_example_is_a_function_of_its_number():
    one = SOURCE.example(7)
    system, user, assistant = ([part.target for part in message.parts] for message in one.messages)
    assert system == user == [False]
    assert assistant == [False, True] * (len(assistant) // 2)
    assert one == SOURCE.example(7) != SOURCE.example(8)
