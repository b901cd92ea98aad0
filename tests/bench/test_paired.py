"""Paired statistics: against exact sums, and by how often the interval holds what it should."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen2vl_agent.bench.paired import Paired, count, mcnemar, paired_interval

few = st.integers(0, 40)


@pytest.mark.parametrize(
    ("only_a", "only_b", "p"),
    [
        (12, 2, 2 * (1 + 14 + 91) / 2**14),
        (0, 5, 2 / 2**5),
        (3, 3, 1.0),
        (0, 0, 1.0),
        (1, 9, 2 * (1 + 10) / 2**10),
    ],
)
def test_mcnemars_exact_test_sums_the_binomials_tail(only_a, only_b, p):
    assert mcnemar(only_a, only_b) == pytest.approx(p)
    assert mcnemar(only_b, only_a) == mcnemar(only_a, only_b)


def test_equally_good_policies_are_rarely_told_apart():
    chance = random.Random(5)
    clear = 0
    for _ in range(1000):
        pairs = [(chance.random() < 0.6, chance.random() < 0.6) for _ in range(60)]
        clear += count(pairs).p_value < 0.05
    assert clear / 1000 <= 0.05


@pytest.mark.parametrize(("a", "b", "shared"), [(0.5, 0.5, 0.0), (0.3, 0.6, 0.0), (0.8, 0.9, 0.7), (0.05, 0.2, 0.5)])
def test_the_interval_holds_the_true_difference_about_95_times_in_100(a, b, shared):
    """`shared` is the part of the episodes on which one draw decides for both, which makes pairs alike."""
    chance = random.Random(f"{a} {b} {shared}")
    held, trials = 0, 1500
    for _ in range(trials):
        pairs = []
        for _ in range(80):
            first = chance.random()
            second = first if chance.random() < shared else chance.random()
            pairs.append((first < a, second < b))
        low, high = paired_interval(count(pairs))
        held += low <= b - a <= high
    assert 0.93 <= held / trials <= 0.99


@given(few, few, few, few)
def test_the_interval_holds_the_observed_difference_and_mirrors(both, only_a, only_b, neither):
    counts = Paired(both, only_a, only_b, neither)
    low, high = counts.interval
    assert -1 <= low <= counts.difference + 1e-12
    assert counts.difference - 1e-12 <= high <= 1
    mirrored = Paired(both, only_b, only_a, neither).interval
    assert mirrored == pytest.approx((-high, -low))


def test_nothing_is_known_of_nothing():
    empty = count([])
    assert (empty.a, empty.difference, empty.interval, empty.p_value) == (0.0, 0.0, (-1.0, 1.0), 1.0)
