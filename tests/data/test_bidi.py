"""The order in which letters from both sides stand in a line, beside an implementation of Unicode's whole algorithm."""

import hypothesis
import pytest
from bidi import get_display
from hypothesis import given
from hypothesis import strategies as st

from qwen2vl_agent.schema.bidi import as_seen


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("Meet שלום עולם at 5", "Meet םלוע םולש at 5"),
        ("שלום (עולם)", "(םלוע) םולש"),
        ("12:45 שלום", "םולש 12:45"),
        ("שלום 12:45, 3.50", "3.50 ,12:45 םולש"),
        ("שלום abc def עולם", "םלוע abc def םולש"),
        ("Go: שלום!", "Go: םולש!"),
        ("hello (12)", "hello (12)"),
        ("", ""),
    ],
)
def test_worked_examples(text: str, drawn: str) -> None:
    assert as_seen(text) == drawn


@hypothesis.settings(deadline=None, max_examples=2000)
@given(st.text("אבגדab cd 12:.,-!/", max_size=16))
def test_lines_are_those_of_the_whole_algorithm(text: str) -> None:
    """Without brackets: the peer does not mirror them."""
    assert as_seen(text) == get_display(text)


@pytest.mark.parametrize(("word", "forms"), [("پنج", "FB58 FEE8 FE9E"), ("گچ", "FB94 FB7B")])
def test_letters_of_persian_join_too(word: str, forms: str) -> None:
    assert [f"{ord(letter):04X}" for letter in reversed(as_seen(word))] == forms.split()
