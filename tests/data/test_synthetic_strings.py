"""Generated strings: varied, short, and not taken from what tests hold back."""

import random

from qwen2vl_agent.data.synthetic.strings import label, number, word
from qwen2vl_agent.envs.virtual_phone.words import is_held_out

EVERYDAY = {"Dinner", "Home", "maps"}
"""Common words of the generator that the phone's pools hold too, with this very spelling, in their held-out part."""


def labels(count: int, seed: int = 0) -> list[str]:
    rng = random.Random(seed)
    return [label(rng) for _ in range(count)]


def test_the_same_chances_give_the_same_strings():
    assert labels(200) == labels(200)
    assert labels(200) != labels(200, seed=1)


def test_a_label_is_one_short_line():
    for text in labels(5000):
        assert 1 <= len(text) <= 22
        assert text == text.strip()
        assert "\n" not in text
        assert '"' not in text


def test_labels_hardly_repeat():
    drawn = labels(5000)
    assert len(set(drawn)) > 4000


def test_words_come_in_all_cases_and_numbers_in_all_forms():
    rng = random.Random(0)
    words = [word(rng) for _ in range(500)]
    assert any(text.isupper() and len(text) > 1 for text in words)
    assert any(text.islower() for text in words)
    assert any(text[0].isupper() and text[1:].islower() for text in words)
    numbers = [number(rng) for _ in range(500)]
    for mark in (":", "%", "+", "=", "-", " "):
        assert any(mark in text for text in numbers), mark
    assert any(text.isdigit() for text in numbers)


def test_every_letter_and_digit_occurs():
    letters = set("".join(labels(5000)))
    assert letters >= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")


def test_held_out_words_are_not_taught():
    """An invention may hit a held-out name of three or four letters, once in ten thousand labels."""
    held_out = [text for text in labels(40_000) if is_held_out(text) and text not in EVERYDAY]
    assert len(held_out) < 8, held_out
