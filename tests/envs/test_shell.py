"""The phone's small shell, without a connection."""

import shlex

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phone_shell import PhoneShell

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
SHELL_LIKE = st.text(alphabet=" ;&|><$?{}()'\"\\`#=-abc\n1", max_size=30)


@pytest.fixture(scope="module")
def shell() -> PhoneShell:
    return PhoneShell()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("echo a   b", "a b\n"),
        ("echo 'a   b'", "a   b\n"),
        ('echo "it\'s" \'"q"\'', 'it\'s "q"\n'),
        (r"echo a\ \ b \; \$? \'", "a  b ; $? '\n"),
        (r'echo "a\"b\$c\\d\e"', 'a"b$c\\d\\e\n'),
        ("echo ''", "\n"),
        ("echo x''y", "xy\n"),
        ("echo a; echo b", "a\nb\n"),
        ("echo a\necho b", "a\nb\n"),
        ("true && echo yes", "yes\n"),
        ("false && echo yes", ""),
        ("false || echo no", "no\n"),
        ("true || echo no", ""),
        ("false || false || echo third", "third\n"),
        ("false && echo a || echo b", "b\n"),
        ("false; echo $?", "1\n"),
        ("true; echo ${?}", "0\n"),
        ("nothing_here; echo $?", "127\n"),
        ("echo '$?' \"$?\"", "$? 0\n"),
        ("X=5; echo $X-$Y-", "5--\n"),
        ("echo a # b ; echo c", "a\n"),
        ("echo a#b", "a#b\n"),
        ("echo one two | cat | wc -w", "2\n"),
        ("echo 'ab\ncd\nabe' | grep ab | head -1", "ab\n"),
        ("echo 'ab\ncd' | grep -v ab", "cd\n"),
        ("echo 'ab\ncd' | grep -c .", "2\n"),
        ("echo 'aXb' | grep -io x", "X\n"),
        ("echo 'a.b\naxb' | grep -F a.b", "a.b\n"),
        ("echo '1\n2\n3' | tail -n 2", "2\n3\n"),
        ("echo abcdef | head -c 3", "abc"),
        ("sh -c 'echo in; exit 3'; echo $?", "in\n3\n"),
        ("exit 4 | cat; echo $?", "0\n"),
        ("echo a > /sdcard/f && echo b >> /sdcard/f && cat /sdcard/f", "a\nb\n"),
        ("cat < /sdcard/f | wc -l", "2\n"),
        ("cp /sdcard/f /sdcard/g; mv /sdcard/g /data/local/tmp/h; cat /storage/emulated/0/f", "a\nb\n"),
        ("cat /data/local/tmp/h; ls /sdcard | grep -x g", "a\nb\n"),
        ("mkdir -p /sdcard/x/y && touch /sdcard/x/y/z && ls /sdcard/x/y", "z\n"),
        ("rm -r /sdcard/x; ls /sdcard/x 2>&1", "ls: /sdcard/x: No such file or directory\n"),
        ("nope 2>/dev/null || echo quiet", "quiet\n"),
        ("ls /nope > /sdcard/both 2>&1; cat /sdcard/both", "ls: /nope: No such file or directory\n"),
        ("echo out > /dev/null; cat /dev/null", ""),
        ("echo to_err >&2", ""),
        ("which input; which nope || echo none", "/system/bin/input\nnone\n"),
        ("echo $EXTERNAL_STORAGE", "/sdcard\n"),
    ],
)  # fmt: skip
def test_a_line_gives_what_androids_shell_gives(shell: PhoneShell, line: str, expected: str) -> None:
    assert shell.run(line).out == expected


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("true", 0), ("false", 1), ("exit 7", 7), ("exit 7; echo no", 7), ("false; exit", 1), ("exit 300", 44),
        ("nope", 127), ("echo a | grep b", 1), ("grep", 2), ("echo a > /system/x", 1), ("cat < /none", 1),
        ("true && exit 9 || exit 8", 9), ("", 0), ("  # nothing", 0), ("exit x", 1),
    ],
)  # fmt: skip
def test_a_line_ends_with_the_right_status(shell: PhoneShell, line: str, status: int) -> None:
    assert shell.run(line).status == status


def test_an_unknown_command_is_named_in_androids_words(shell: PhoneShell) -> None:
    assert shell.run("frobnicate -x").err == "/system/bin/sh: frobnicate: inaccessible or not found\n"


@pytest.mark.parametrize(
    "line", ["echo 'open", 'echo "open', "a &&", "| a", "a || ; b", "a | | b", "(a)", "echo $(id)", "echo `id`", "a >"]
)
def test_what_is_not_in_the_grammar_is_refused_and_nothing_runs(shell: PhoneShell, line: str) -> None:
    ran = shell.run(line)
    assert (ran.status, ran.data) == (1, b"")
    assert ran.err.startswith("/system/bin/sh: ")


@given(TEXT)
@settings(max_examples=60, deadline=None)
def test_any_quoted_text_reaches_a_command_unchanged(text: str) -> None:
    assert PHONE.run("echo x" + shlex.quote(text)).out == f"x{text}\n"


@given(SHELL_LIKE)
@settings(max_examples=150, deadline=None)
def test_no_line_breaks_the_shell(line: str) -> None:
    assert 0 <= PHONE.run(line).status <= 255


def test_standard_input_reaches_the_first_command_that_reads(shell: PhoneShell) -> None:
    assert shell.run("true; cat | wc -c", b"12345").out == "5\n"


def test_files_may_be_written_only_where_a_shell_user_may(shell: PhoneShell) -> None:
    assert "Permission denied" in shell.run("echo a > /data/x").err
    assert "Read-only file system" in shell.run("touch /system/x").err
    assert "No such file or directory" in shell.run("echo a > /sdcard/none/x").err
    assert "Permission denied" in shell.run("rm -rf /sdcard").err


PHONE = PhoneShell()
