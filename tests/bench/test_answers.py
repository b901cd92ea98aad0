"""The metrics against cases scored by hand."""

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen2vl_agent.bench.answers import anls, choice, edits, mathvista, multiple_choice, number, relaxed


@pytest.mark.parametrize(
    ("answer", "truths", "score"),
    [
        ("sitting", ["sitting"], 1.0),
        ("kitten", ["sitting"], 1 - 3 / 7),  # k-s, e-i, +g
        ("  New   York ", ["new york"], 1.0),
        ("New York", ["boston", "NEW YORK CITY"], 1 - 5 / 13),
        ("1998", ["1989"], 0.5),  # two of four letters: exactly at the threshold
        ("1998", ["1889"], 0.0),  # three of four
        ("abcd", ["abxyz"], 0.0),  # 3 of 5: 0.4 is below it
        ("", ["x"], 0.0),
        ("", [""], 1.0),
        ("$5.00", ["5.00"], 1 - 1 / 5),
        ("anything", [], 0.0),
    ],
)
def test_anls(answer, truths, score):
    assert anls(answer, truths) == pytest.approx(score)


@pytest.mark.parametrize(
    ("one", "other", "count"),
    [("", "", 0), ("", "abc", 3), ("flaw", "lawn", 2), ("intention", "execution", 5), ("猫犬", "犬", 1)],
)
def test_edits(one, other, count):
    assert edits(one, other) == edits(other, one) == count


@hypothesis.settings(deadline=None)
@given(one=st.text(max_size=12), two=st.text(max_size=12), three=st.text(max_size=12))
def test_edits_are_a_distance(one, two, three):
    assert (edits(one, two) == 0) == (one == two)
    assert edits(one, three) <= edits(one, two) + edits(two, three)


@pytest.mark.parametrize(
    ("answer", "truth", "score"),
    [
        ("104", "100", 1), ("105", "100", 1), ("105.1", "100", 0), ("95", "100", 1), ("94.9", "100", 0),
        ("-5", "5", 0), ("0", "0", 1), ("0.01", "0", 0), ("1,200", "1200", 1), ("12%", "0.12", 1), ("$5", "5.0", 1),
        ("Yes", "yes", 1), (" light  blue", "Light blue", 1), ("blue", "light blue", 0), ("2015", "2014", 1),
        ("five", "5", 0), ("", "5", 0), ("1e3", "1000", 1),
    ],
)  # fmt: skip
def test_relaxed_accuracy(answer, truth, score):
    assert relaxed(answer, truth) == score


@pytest.mark.parametrize(
    ("text", "value"),
    [("1,234.5", 1234.5), ("50 %", 0.5), ("€ 7.", 7), (".5", 0.5), ("1.2.3", None), ("", None), ("%", None)],
)
def test_numbers(text, value):
    assert number(text) == value


OPTIONS = ("A dog", "A red car", "Twelve", "12")


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("B", "B"), ("b", "B"), ("(C)", "C"), ("D.", "D"), ("B. A red car", "B"), ("The answer is C", "C"),
        ("Answer: (b)", "B"), ("I would say option D because", "D"), ("a red car", "B"), ("It is a dog.", "A"),
        ("A dog", "A"), ("E", None), ("", None), ("dog or car", None), ("a dog and a red car", None),
        ("maybe B or C", None), ("It shows B", "B"), ("12", "D"), ("I see A and nothing else", None),
        ("The answer is A red car", "B"), ("the answer is (c)", "C"), ("E.", None), ("Z", None),
    ],
)  # fmt: skip
def test_choices(answer, letter):
    assert choice(answer, OPTIONS) == letter


def test_an_option_that_holds_another_is_not_taken_for_it():
    assert choice("it is 120", ("12", "120", "7")) == "B"
    assert multiple_choice("B) 120", ("12", "120"), "B") == 1
    assert multiple_choice("nothing", ("12", "120"), "B") == 0


@pytest.mark.parametrize(
    ("answer", "truth", "options", "kind", "precision", "score"),
    [
        ("The answer is 14", "14", (), "integer", None, 1),
        ("14 + 1 = 15", "14", (), "integer", None, 0),
        ("1,200", "1200", (), "integer", None, 1),
        ("about 0.333", "0.3", (), "float", 1, 1),
        ("0.36", "0.3", (), "float", 1, 0),
        ("1.234", "1.23", (), "float", 2, 1),
        ("B", "(b) 5", ("4", "(b) 5"), "text", None, 1),
        ("A", "(b) 5", ("4", "(b) 5"), "text", None, 0),
        ("The answer is Yes.", "yes", (), "text", None, 1),
        ("not at all", "no", (), "text", None, 0),
        ("[1, 2]", "[1, 2]", (), "list", None, 1),
        ("nothing", "3", (), "integer", None, 0),
    ],
)
def test_mathvista(answer, truth, options, kind, precision, score):
    assert mathvista(answer, truth, options, kind, precision) == score


@hypothesis.settings(deadline=None)
@given(answer=st.text(max_size=40))
def test_no_answer_breaks_a_metric(answer):
    assert 0 <= anls(answer, ["x", answer]) <= 1
    relaxed(answer, "5")
    multiple_choice(answer, OPTIONS, "A")
    for kind in ("integer", "float", "text"):
        mathvista(answer, "5", (), kind, 1)
