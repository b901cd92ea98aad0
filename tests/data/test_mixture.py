"""The order of a mixture: pure, exact in its shares, and without gaps."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from training_doubles import Copying

from qwen2vl_agent.data.mixture import BLOCK, Mixture
from qwen2vl_agent.schema.errors import ConfigError


def mixture(*weights: float, seed: int = 0) -> Mixture:
    return Mixture(tuple((Copying(f"s{number}"), weight) for number, weight in enumerate(weights)), seed)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0.001, 100), min_size=1, max_size=6), st.integers(0, 2**40))
def test_every_source_is_asked_for_each_index_once_and_in_order(weights, seed):
    mixed = mixture(*weights, seed=seed)
    asked: dict[str, list[int]] = {}
    for position in range(2 * BLOCK):
        source, index = mixed.pick(position)
        asked.setdefault(source.name, []).append(index)
    assert len(asked) == len(weights)
    for indices in asked.values():
        assert indices == list(range(len(indices)))


def test_shares_are_exact_in_every_block():
    mixed = mixture(1, 3)
    for block in range(3):
        names = Counter(mixed.pick(position)[0].name for position in range(block * BLOCK, (block + 1) * BLOCK))
        assert names == {"s0": BLOCK // 4, "s1": 3 * BLOCK // 4}


def test_a_tiny_weight_is_never_rounded_to_nothing():
    names = Counter(mixture(1, 1e-6).pick(position)[0].name for position in range(BLOCK))
    assert names["s1"] == 1


def test_the_order_depends_on_the_seed_and_on_nothing_else():
    order = [mixture(1, 2, seed=5).pick(position)[0].name for position in range(200)]
    assert order == [mixture(1, 2, seed=5).pick(position)[0].name for position in range(200)]
    assert order != [mixture(1, 2, seed=6).pick(position)[0].name for position in range(200)]


def test_neighbouring_blocks_are_shuffled_differently():
    mixed = mixture(1, 1)
    first, second = ([mixed.pick(b * BLOCK + p)[0].name for p in range(BLOCK)] for b in (0, 1))
    assert first != second


@pytest.mark.parametrize(
    "sources", [(), ((Copying("a"), 1), (Copying("a"), 1)), ((Copying("a"), 0),), ((Copying("a"), -1),)]
)
def test_a_mixture_that_makes_no_sense_is_refused(sources):
    with pytest.raises(ConfigError):
        Mixture(sources)
