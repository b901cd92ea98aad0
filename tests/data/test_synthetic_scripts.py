"""Invented words: in the letters of their script, some held out, and drawn in the forms of a page."""

import random
import unicodedata

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ImageFont

from qwen2vl_agent.data.synthetic import fonts
from qwen2vl_agent.data.synthetic.scripts import HELD_OUT, SCRIPTS, is_held_out
from qwen2vl_agent.schema.bidi import as_seen
from qwen2vl_agent.schema.errors import ConfigError

NAMED = {"vietnamese": "LATIN", "hangul": "HANGUL SYLLABLE", "han": "CJK UNIFIED"}
ALWAYS = ("latin", "vietnamese", "cyrillic", "greek", "arabic", "hebrew")
"""Scripts of the bundled fonts."""


@pytest.mark.parametrize("name", [name for name in SCRIPTS if name not in ("latin", "kana")])
def test_words_have_the_letters_of_their_script(name):
    rng = random.Random(1)
    for _ in range(100):
        for letter in SCRIPTS[name].word(rng):
            assert unicodedata.name(letter).startswith(NAMED.get(name, name.upper()))
            assert unicodedata.is_normalized("NFC", letter)


def test_words_that_are_held_out_are_never_shown():
    for script in SCRIPTS.values():
        rng = random.Random(2)
        shown = {word for _ in range(60) for word in script.line(rng, held_out=False).split()}
        kept = {word for _ in range(60) for word in script.line(rng, held_out=True).split()}
        assert not shown & kept
    rng = random.Random(3)
    words = ["".join(rng.choices("abcdefgh", k=9)) for _ in range(2000)]
    assert sum(map(is_held_out, words)) / 2000 == pytest.approx(HELD_OUT, abs=0.03)
    assert is_held_out("Word") == is_held_out("WORD")


@pytest.mark.parametrize(
    ("word", "forms"),
    [
        ("باب", "FE8F FE8E FE91"),  # from left to right: isolated beh, final alef, initial beh
        ("سلام", "FEE1 FEFC FEB3"),  # isolated meem, final lam-alef, initial seen
        ("لا", "FEFB"),
        ("محمد", "FEAA FEE4 FEA4 FEE3"),
        ("دار", "FEAD FE8D FEA9"),  # none of them joins to the left
    ],
)
def test_arabic_letters_join_as_unicode_says(word, forms):
    assert [f"{ord(letter):04X}" for letter in as_seen(word)] == forms.split()


@hypothesis.settings(deadline=None)
@given(st.text("ابتثجحخدذرزسشصضطظعغفقكلمنهويةأى ", max_size=12))
def test_shaped_letters_are_the_letters_that_were_given(word):
    assert unicodedata.normalize("NFKC", "".join(reversed(as_seen(word)))) == unicodedata.normalize("NFKC", word)


def test_other_scripts_stay_as_they_are():
    assert as_seen("Xin chào 漢字 12") == "Xin chào 漢字 12"
    assert as_seen("שלום") == "םולש"


@pytest.mark.parametrize("name", ALWAYS)
def test_bundled_fonts_write_this_script_without_empty_boxes(name):
    paths = [path for path in fonts.fonts_of(name) if path in fonts.bundled()]
    assert paths
    used = ImageFont.truetype(paths[0], 24, layout_engine=ImageFont.Layout.BASIC)
    lacking = used.getmask("\uffff").getbbox(), bytes(used.getmask("\uffff"))
    for word in (SCRIPTS[name].word(random.Random(seed)) for seed in range(20)):
        for letter in as_seen(word):
            assert (used.getmask(letter).getbbox(), bytes(used.getmask(letter))) != lacking


def test_a_script_that_no_font_here_can_write_is_told(monkeypatch):
    monkeypatch.setattr(fonts, "_system", lambda: ())
    fonts.fonts_of.cache_clear()
    try:
        with pytest.raises(ConfigError, match=r"letters of hangul.*apt install"):
            fonts.fonts_of("hangul")
    finally:
        fonts.fonts_of.cache_clear()
