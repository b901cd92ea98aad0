"""Text of the virtual phone in every script: each letter has a font, lines stand in their order, nothing is a box."""

import random

import pytest
from PIL import Image

from qwen2vl_agent.envs.virtual_phone.draw import Canvas, fit, wrap
from qwen2vl_agent.envs.virtual_phone.lettering import (
    BLOCKS,
    FONTS,
    STARTS,
    font,
    font_of,
    paint_line,
    pieces,
    text_width,
)
from qwen2vl_agent.envs.virtual_phone.phone import VirtualPhone
from qwen2vl_agent.envs.virtual_phone.state import random_state
from qwen2vl_agent.envs.virtual_phone.words import Words

TEXTS = {
    "regular": "Señor Straße Ελένη Ольга Đặng",
    "armenian": "Նարեկ",
    "hebrew": "שלום",
    "arabic": "محمد پنج",
    "devanagari": "आदित्य",
    "thai": "สมชาย",
    "georgian": "გიორგი",
    "cjk": "王小明、さくらカナ김민준",
}


def boxes(text: str) -> list[str]:
    """Letters that are drawn as the box which stands for what a font lacks."""
    lacking = []
    for name, piece in pieces(text, "regular"):
        used = font(name, 60)
        box = bytes(used.getmask("\U0010fffe"))
        lacking += [letter for letter in piece if letter != " " and bytes(used.getmask(letter)) == box]
    return lacking


@pytest.mark.parametrize("script", TEXTS)
def test_every_script_is_written_with_letters(script: str) -> None:
    text = TEXTS[script]
    assert {name for name, _ in pieces(text.replace(" ", ""), "regular")} == {script}
    assert boxes(text) == []
    line = paint_line(text, "regular", 40)
    assert line.mask.getbbox() is not None
    assert line.width == pytest.approx(text_width(text, 40), rel=0.03)


def test_the_blocks_are_in_order_and_have_fonts() -> None:
    assert sorted(STARTS) == STARTS
    assert {name for _, name in BLOCKS} - {""} <= set(FONTS)
    assert font_of("a", "medium") == "medium"
    assert font_of("ж", "regular") == "regular"


def test_a_line_of_latin_letters_is_one_piece() -> None:
    assert pieces("Wi-Fi", "medium") == (("medium", "Wi-Fi"),)
    assert pieces("Ελένη", "regular") == (("regular", "Ελένη"),)


def test_pieces_follow_each_other_from_left_to_right() -> None:
    assert [name for name, _ in pieces("Note 牛奶 שלום", "regular")] == ["regular", "cjk", "regular", "hebrew"]
    line = paint_line("Note 牛奶 שלום!", "regular", 30)
    middles = [x for _, x in line.letters]
    assert middles == sorted(middles)
    assert "".join(letter for letter, _ in line.letters) == "Note 牛奶 םולש!"
    assert middles[-1] < line.width


def test_marks_say_where_letters_of_any_script_are() -> None:
    canvas = Canvas(Image.new("RGB", (300, 60)), 1.0, mark=True)
    canvas.text(10, 30, "a王b", 20, (255, 255, 255))
    assert [mark.name for mark in canvas.marks or []] == ["a", "王", "b"]


def test_lines_without_blanks_are_broken_and_cut() -> None:
    text = "牛奶鸡蛋和面包明天下午三点钟在图书馆见面"
    lines = wrap(text, 20, "regular", 120)
    assert "".join(lines) == text
    assert all(text_width(line, 20) <= 120 for line in lines)
    assert fit(text, 20, "regular", 120).endswith("…")


def test_what_is_typed_in_any_script_is_kept_and_shown() -> None:
    rng = random.Random(4)
    phone = VirtualPhone(random_state(5, Words.test()), (270, 600))
    for text in TEXTS.values():
        phone.launch("contacts")
        search = next(element for element in phone.elements() if element.role == "field")
        phone.tap(*search.centre)
        before = phone.image().copy()
        phone.type_text(text + str(rng.random()))
        assert any(text in element.text for element in phone.elements())
        assert phone.image().tobytes() != before.tobytes()
        phone.clear_text()
