"""Texts to copy: whatever is asked stands in the answer, in its order."""

import re

from qwen2vl_agent.data.synthetic.copying import CopyingSource

SOURCE = CopyingSource(name="copying", seed=3)


def test_the_answer_uses_the_texts_that_were_given_in_their_order():
    counts, whole = set(), 0
    for index in range(120):
        _, user, assistant = SOURCE.example(index).messages
        if assistant.parts[0].text == user.parts[0].text:
            whole += 1
            continue
        lines = assistant.parts[0].text.split("\n")
        counts.add(len(lines))
        rest = user.parts[0].text
        for line in lines:
            text = re.search(r'"(.*)"', line)[1]
            before, found, rest = rest.partition(text)
            assert found
            assert before.strip(' "') == ""
    assert counts == set(range(1, 9))
    assert 40 < whole < 80


def test_only_the_answer_is_learnt_and_an_example_is_a_function_of_its_number():
    one = SOURCE.example(7)
    assert [part.target for message in one.messages for part in message.parts] == [False, False, True]
    assert one == SOURCE.example(7) != SOURCE.example(8)
