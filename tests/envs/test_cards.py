"""The card games: their rules, their solutions, and how well they can be played at best."""

import itertools
import random
from collections import Counter

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen2vl_agent.envs.cards import blackjack_play
from qwen2vl_agent.envs.cards.blackjack import HIT, STAND, BlackjackEnv
from qwen2vl_agent.envs.cards.drawing import Card
from qwen2vl_agent.envs.cards.formula import OPERATORS, solve, value_of
from qwen2vl_agent.envs.cards.number_line import NumberLineEnv
from qwen2vl_agent.envs.cards.points import EZPointEnv, Point24Env
from qwen2vl_agent.envs.cards.rules import CEILINGS
from qwen2vl_agent.envs.register import PLAIN_ENVS, register_envs

TOKENS = st.sampled_from([*map(str, range(1, 11)), *OPERATORS, "(", ")"])


@pytest.mark.parametrize("name", [name for name, where in PLAIN_ENVS.items() if ".cards." in where])
def test_gymnasiums_checker_finds_nothing(name):
    register_envs()
    check_env(gymnasium.make(name, render_mode="rgb_array").unwrapped)


@pytest.mark.parametrize("kind", [NumberLineEnv, EZPointEnv, Point24Env, BlackjackEnv])
def test_a_seed_gives_the_same_picture_and_another_seed_another(kind):
    one, other = kind(), kind()
    pictures = [one.reset(seed=seed)[0] for seed in range(8)]
    assert all(np.array_equal(picture, other.reset(seed=seed)[0]) for seed, picture in enumerate(pictures))
    assert len({picture.tobytes() for picture in pictures}) > 4


# Formulas -----------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.lists(TOKENS, max_size=13))
def test_a_formula_has_the_value_that_exact_arithmetic_gives_it(tokens):
    written = " ".join(tokens)
    try:
        compiled = compile(written, "formula", "eval")
        expected = eval(compiled, {"__builtins__": {}})  # the reference; tokens are numbers, operators and brackets
    except (SyntaxError, ZeroDivisionError, TypeError):
        expected = None
    found = value_of(tokens)
    if found is not None:
        assert expected is not None
        assert float(found) == pytest.approx(expected)
    elif expected is not None:  # Python knows signs and empty tuples, this grammar does not
        assert (
            expected == ()
            or any(
                sign in "+-" and (place == 0 or tokens[place - 1] in (*OPERATORS, "("))
                for place, sign in enumerate(tokens)
            )
            or "* *" in written
            or "/ /" in written
        )


def test_numbers_are_not_run_together_and_nothing_is_run():
    assert value_of(["1", "0"]) is None
    assert value_of(["__import__('os')"]) is None
    assert value_of(["8", "/", "(", "3", "-", "8", "/", "3", ")"]) == 24
    assert value_of(["1", "/", "(", "2", "-", "2", ")"]) is None


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(1, 10), min_size=4, max_size=4))
def test_a_solution_uses_each_number_once_and_is_right(numbers):
    found = solve(numbers, 24)
    if found is not None:
        assert sorted(int(token) for token in found if token.isdecimal()) == sorted(numbers)
        assert value_of(found) == 24


def test_brackets_are_written_only_where_they_change_the_value():
    assert solve((5, 7), 12) == ("5", "+", "7")
    brackets = {solve(numbers, 24).count("(") for numbers in ((6, 4, 1, 1), (10, 2, 3, 4))}
    assert brackets == {0}


@pytest.mark.slow
def test_the_share_of_deals_that_make_24_is_the_ceiling():
    deals = Counter(
        tuple(sorted(min(rank, 10) for rank in ranks)) for ranks in itertools.product(range(1, 14), repeat=4)
    )
    solvable = sum(count for deal, count in deals.items() if solve(deal, 24))
    assert solvable / 13**4 == pytest.approx(CEILINGS["point24"], abs=5e-5)


# NumberLine, EZPoint and Point24 ------------------------------------------------------------------------------------


def test_number_line_rewards_as_published():
    env = NumberLineEnv()
    env.reset(seed=0)
    env.target, env.current = 5, 3
    assert env.step(0)[1:3] == (-1.0, False)  # away
    assert env.step(1)[1:3] == (0.0, False)  # nearer
    env.current = 0
    assert env.step(0)[1] == -1.0  # the end of the line: not nearer
    env.current = 4
    assert env.step(1)[1:3] == (1.0, True)


def test_number_line_is_cut_off_after_twice_the_largest_number():
    env = NumberLineEnv()
    env.reset(seed=0)
    env.target, env.current = 0, 5
    cut = [env.step(1)[3] for _ in range(10)]
    assert cut == [False] * 9 + [True]


def test_every_pair_of_ezpoint_makes_12_and_its_solution_earns_10():
    env, seen = EZPointEnv(), set()
    env.render = lambda: np.zeros((1, 1, 3), np.uint8)  # nobody looks
    for seed in range(300):
        env.reset(seed=seed)
        seen.add(tuple(sorted(env.numbers)))
        while True:
            _, reward, terminated, _, info = env.step(env.solution()[1])
            if terminated:
                break
        assert (reward, info["is_success"]) == (10.0, True)
    assert seen == {(2, 10), (2, 6), (3, 9), (3, 4), (4, 8), (5, 7), (6, 6)}


def test_a_number_that_is_on_no_card_costs_1_and_a_place():
    env = EZPointEnv()
    env.reset(seed=0)
    env.cards = [Card(2, "heart"), Card(6, "club")]
    assert env.step(env.symbols.index("7"))[1:3] == (-1.0, False)
    for symbol, reward in (("2", 0.0), ("*", 0.0), ("6", 0.0), ("=", 10.0)):
        assert env.step(env.symbols.index(symbol))[1] == reward


@pytest.mark.parametrize("symbols", ["2 * 6 =", "2 + 2 =", "=", "( 2 * 6"])
def test_a_formula_that_is_wrong_or_leaves_cards_over_costs_1(symbols):
    env = Point24Env()
    env.reset(seed=0)
    env.cards = [Card(rank, "heart") for rank in (2, 6, 1, 2)]
    for symbol in symbols.split():
        _, reward, terminated, _, info = env.step(env.symbols.index(symbol))
    assert terminated == symbols.endswith("=")
    if terminated:
        assert (reward, info["is_success"]) == (-1.0, False)


def test_a_formula_that_grows_too_long_is_cut_off():
    env = Point24Env()
    env.reset(seed=0)
    steps = [env.step(env.symbols.index("(")) for _ in range(22)]
    assert [step[3] for step in steps] == [False] * 21 + [True]
    assert steps[-1][1] == -1.0


def test_the_solution_of_point24_wins_where_a_deal_can_be_won_and_gives_up_elsewhere():
    env = Point24Env()
    env.render = lambda: np.zeros((1, 1, 3), np.uint8)  # nobody looks
    for seed in range(15):
        env.reset(seed=seed)
        winnable = solve(env.numbers, 24) is not None
        while True:
            _, reward, terminated, _, _ = env.step(env.solution()[1])
            if terminated:
                break
        assert (reward == 10.0) == winnable


# Blackjack ----------------------------------------------------------------------------------------------------------


def test_the_chance_to_win_at_blackjack_is_the_ceiling():
    assert blackjack_play.chance_to_win() == pytest.approx(CEILINGS["blackjack"], abs=5e-5)


@pytest.mark.parametrize(
    ("points", "expected"),
    [((1, 10), (21, True)), ((1, 1), (12, True)), ((1, 5, 10), (16, False)), ((10, 10, 2), (22, False))],
)
def test_an_ace_counts_11_while_that_fits(points, expected):
    assert blackjack_play.total(points) == expected
    reached = blackjack_play.total(points[:2])
    for point in points[2:]:
        reached = blackjack_play.drawn(*reached, point)
    assert reached == expected


def test_the_play_is_the_basic_one_where_that_is_beyond_dispute():
    assert blackjack_play.best(20, False, 10)[0] == STAND
    assert blackjack_play.best(11, False, 10)[0] == HIT
    assert blackjack_play.best(13, False, 6)[0] == STAND
    assert blackjack_play.best(15, True, 10)[0] == HIT


@pytest.mark.slow
def test_hands_played_out_are_won_as_often_as_reckoned():
    env, won, hands = BlackjackEnv(), 0, 20_000
    env.reset(seed=5)
    env.render = lambda: np.zeros((1, 1, 3), np.uint8)  # nobody looks
    for _ in range(hands):
        env.reset()
        terminated = False
        while not terminated:
            _, reward, terminated, _, _ = env.step(env.solution()[1])
        won += reward > 0
    assert won / hands == pytest.approx(CEILINGS["blackjack"], abs=0.0105)  # three standard errors


def test_random_play_of_number_line_ends_within_its_limit():
    chance, env = random.Random(0), NumberLineEnv()
    for seed in range(20):
        env.reset(seed=seed)
        ends = [env.step(chance.randrange(2))[2:4] for _ in range(10)]
        assert any(any(end) for end in ends)
