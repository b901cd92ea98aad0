"""Success rates with their uncertainty."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen2vl_agent.bench.statistics import rate, wilson_interval

# Source: scipy 1.17.1, scipy.stats.binomtest(k, n).proportion_ci(confidence, method="wilson").
SCIPY = [
    (7, 10, 0.95, 0.39677814746114526, 0.892208732593699),
    (0, 10, 0.95, 0.0, 0.27753279986288926),
    (10, 10, 0.95, 0.7224672001371109, 1.0),
    (1, 160, 0.95, 0.0011041317693822016, 0.03454898596247917),
    (83, 160, 0.95, 0.44180221922881474, 0.5948185484522539),
    (1, 1, 0.95, 0.20654931437723745, 1.0),
    (7, 10, 0.90, 0.4416997958698351, 0.8731234160968021),
]


@pytest.mark.parametrize(("successes", "trials", "confidence", "low", "high"), SCIPY)
def test_the_interval_agrees_with_scipy(successes, trials, confidence, low, high):
    assert wilson_interval(successes, trials, confidence) == pytest.approx((low, high), abs=1e-12)


def test_nothing_is_known_without_trials():
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_more_successes_than_trials_are_refused():
    with pytest.raises(ValueError, match="3 successes in 2 trials"):
        wilson_interval(3, 2)


@given(st.integers(1, 400).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials))))
def test_the_interval_holds_the_observed_share_and_mirrors(counts):
    successes, trials = counts
    low, high = wilson_interval(successes, trials)
    assert 0 <= low <= successes / trials <= high <= 1
    assert wilson_interval(trials - successes, trials) == pytest.approx((1 - high, 1 - low))


def test_a_rate_counts_its_episodes():
    found = rate([True, False, True, True])
    assert (found.success, found.episodes) == (0.75, 4)
    assert (found.low, found.high) == wilson_interval(3, 4)


def test_the_rate_of_nothing_is_unknown():
    found = rate([])
    assert (found.success, found.episodes, found.low, found.high) == (0.0, 0, 0.0, 1.0)
