"""`chat`: questions from a flag or from standard input, answers as they are written, and what they took."""

import io
import json
from itertools import pairwise

import pytest
from PIL import Image
from test_model import checkpoint  # noqa: F401

from qwen2vl_agent import cli
from qwen2vl_agent.commands.chat import Terminal
from qwen2vl_agent.commands.output import console


@pytest.fixture
def screen(tmp_path):
    path = tmp_path / "screen.png"
    Image.new("RGB", (56, 112), (30, 60, 90)).save(path)
    return str(path)


def talk(monkeypatch, capsys, lines, *words):
    monkeypatch.setattr("sys.stdin", io.StringIO(lines))
    status = cli.main(["chat", *words, "--max-new-tokens", "6"])
    return status, capsys.readouterr()


def test_one_question_is_answered(checkpoint, screen, monkeypatch, capsys):  # noqa: F811
    words = [checkpoint, "--image", screen, "--prompt", "What is it?"]
    status, shown = talk(monkeypatch, capsys, "never read", *words, "--json")
    assert status == 0
    answer = json.loads(shown.out.splitlines()[-1])
    assert answer["model"] == checkpoint
    (turn,) = answer["turns"]
    assert turn["prompt"] == "What is it?"
    assert turn["tokens"]["written"] <= 6
    assert turn["tokens"]["cached"] == 0
    assert set(turn["timings"]) == {"vit", "prefill", "decode"}
    assert "tokens/s" in shown.err
    status, plain = talk(monkeypatch, capsys, "", *words)
    assert status == 0
    assert plain.out.rstrip("\n").startswith(turn["reply"].split("\n")[0])


def test_lines_of_standard_input_are_a_conversation_on_one_cache(checkpoint, screen, monkeypatch, capsys):  # noqa: F811
    lines = f"What is it?\n\n/image {screen}\nAnd this?\nWhy?\n/new\nWhat is it?\n/quit\nnever asked\n"
    status, shown = talk(monkeypatch, capsys, lines, checkpoint, "--json")
    assert status == 0
    turns = json.loads(shown.out.splitlines()[-1])["turns"]
    assert [turn["prompt"] for turn in turns] == ["What is it?", "And this?", "Why?", "What is it?"]
    for before, turn in pairwise(turns[:3]):
        known = before["tokens"]
        assert turn["tokens"]["cached"] >= known["cached"] + known["read"] + known["written"] - 1
    assert turns[3]["reply"] == turns[0]["reply"]
    assert len(shown.out.splitlines()) == 1, "the conversation goes to standard error"


def test_what_cannot_be_read_is_told_and_the_conversation_goes_on(checkpoint, tmp_path, monkeypatch, capsys):  # noqa: F811
    (tmp_path / "broken.png").write_text("no picture")
    lines = f"/image {tmp_path / 'none.png'}\n/nonsense\n/image {tmp_path / 'broken.png'}\nAnd this?\nWhy?\n"
    status, shown = talk(monkeypatch, capsys, lines, checkpoint, "--json")
    assert status == 0
    assert [turn["prompt"] for turn in json.loads(shown.out)["turns"]] == ["Why?"]
    assert "no such file" in shown.err
    assert "/image FILE" in shown.err
    assert "cannot be read as a picture" in shown.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--image", "none.png"], "none.png: no such file"),
        (["--max-new-tokens", "0"], "--max-new-tokens is 0"),
        (["--temperature", "-1"], "--temperature is -1"),
        (["--max-pixels", "5"], "--max-pixels is 5"),
        (["--threads", "0"], "--threads is 0"),
    ],
)
def test_what_cannot_be_used_is_the_operators_to_mend(checkpoint, words, says, capsys):  # noqa: F811
    assert cli.main(["chat", checkpoint, "--prompt", "a", *words]) == 2
    assert says in capsys.readouterr().err


def test_a_damaged_picture_ends_a_single_question(checkpoint, tmp_path, capsys):  # noqa: F811
    (tmp_path / "broken.png").write_text("no picture")
    words = ["chat", checkpoint, "--prompt", "a", "--image", str(tmp_path / "broken.png")]
    assert cli.main(words) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_an_answer_cannot_steer_the_terminal(capsys):
    Terminal(None, console(as_json=False), {})._write("a\x1b[2Jb\rc\n\td")
    assert capsys.readouterr().out == "a[2Jbc\n\td"
