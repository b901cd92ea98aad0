"""Lines for a phone's shell: every character must arrive."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phone_shell import PhoneShell

from qwen2vl_agent.envs import android_input
from qwen2vl_agent.envs.virtual_phone import key_codes

PRINTABLE = "".join(chr(code) for code in range(32, 127))


def arrive(lines: list[str]) -> str:
    """What stands in the focused field once the lines have run in an empty one."""
    state = PHONE.system.phone.state
    PHONE.system.phone.clear_text()
    for line in android_input.chain(lines):
        assert PHONE.run(line).status == 0
    return state.page.fields[state.page.focus]


def test_every_printable_ascii_character_arrives() -> None:
    assert arrive(android_input.type_plain(PRINTABLE)) == PRINTABLE


@pytest.mark.parametrize(
    "text", ["%s", "%%s", "5%sure", "% s", "100 %", "a'b\"c\\", "-5", "--help", "$(reboot)", "`id`", "~", " ", "#x", ""]
)
def test_what_a_shell_or_input_would_mangle_arrives(text: str) -> None:
    assert arrive(android_input.type_plain(text)) == text


@given(st.text(PRINTABLE, max_size=60) | st.text("%s '\"\\$ab", max_size=20))
@settings(max_examples=120, deadline=None)
def test_any_ascii_text_arrives(text: str) -> None:
    assert arrive(android_input.type_plain(text)) == text


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40))
@settings(max_examples=60, deadline=None)
def test_any_text_arrives_through_the_adb_keyboard(text: str) -> None:
    assert arrive(android_input.type_any(text)) == text


def test_long_text_is_cut_into_lines_that_an_old_phone_takes() -> None:
    text = "it's % so " * 400
    lines = list(android_input.chain(android_input.type_plain(text)))
    assert len(lines) > 1
    assert max(map(len, lines)) <= 3500
    assert arrive(android_input.type_plain(text)) == text


def test_newlines_and_tabs_are_keys() -> None:
    assert android_input.type_plain("a\nb\tc") == [
        "input text a", "input keyevent 66", "input text b", "input keyevent 61", "input text c",
    ]  # fmt: skip
    assert not android_input.is_plain("é")
    assert android_input.is_plain(PRINTABLE + "\n\t")


def test_swipes_carry_whole_milliseconds() -> None:
    assert android_input.swipe(1, 2, 3, 4, 0.3501) == "input swipe 1 2 3 4 350"
    assert android_input.tap(1079, 0) == "input tap 1079 0"


def test_both_sides_agree_on_the_key_codes() -> None:
    assert {name: key_codes.CODE_OF_KEY[name] for name in android_input.KEY_CODES} == android_input.KEY_CODES


def test_a_field_is_emptied_on_new_and_old_phones() -> None:
    for line in (android_input.select_all_and_delete(), android_input.delete_backwards()):
        arrive(["input text " + "x" * 200])
        assert PHONE.run(line).status == 0
        page = PHONE.system.phone.state.page
        assert page.fields[page.focus] == ""


def _phone() -> PhoneShell:
    shell = PhoneShell()
    shell.run("am start -n com.android.contacts/.activities.PeopleActivity; input keyevent SEARCH")
    shell.run("ime set com.android.adbkeyboard/.AdbIME")
    assert shell.system.phone.state.page.focus
    return shell


PHONE = _phone()
