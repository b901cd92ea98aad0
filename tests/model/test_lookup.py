"""Guesses from what stands before: the longest match, the latest place, nothing past a break."""

from qwen2vl_agent.model.lookup import Lookup


def test_what_followed_the_same_tokens_is_guessed():
    assert Lookup([5, 6, 7, 8, 9, 5, 6], length=2).guess() == [7, 8]


def test_the_latest_place_counts():
    assert Lookup([5, 6, 7, 1, 5, 6, 8, 2, 5, 6], length=1).guess() == [8]


def test_a_longer_match_counts_more_than_a_later_one():
    assert Lookup([4, 5, 6, 7, 1, 5, 6, 8, 4, 5, 6], length=1).guess() == [7]


def test_one_common_token_is_no_match():
    assert Lookup([5, 6, 7, 1, 5], length=3).guess() == []


def test_tokens_that_are_sure_to_come_are_looked_up_with_the_others():
    lookup = Lookup([5, 6, 7, 8, 1, 5], length=2)
    assert lookup.guess([6]) == [7, 8]
    assert lookup.guess() == []


def test_a_guess_ends_before_a_picture():
    lookup = Lookup([5, 6, 7, 99, 8, 5, 6], length=4, breaks=(99,))
    assert lookup.guess() == [7]
    lookup.append(7)
    assert lookup.guess() == []


def test_what_is_appended_can_be_guessed_later():
    lookup = Lookup([], length=8)
    for token_id in (1, 2, 3, 4, 1, 2):
        lookup.append(token_id)
    assert lookup.guess() == [3, 4, 1, 2]
