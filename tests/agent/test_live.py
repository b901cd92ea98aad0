"""An episode can be watched in a terminal and without one."""

import dataclasses
import io
from pathlib import Path
from typing import Any

import pytest
from corridor import Corridor, Says, call
from PIL import Image
from rich.console import Console

from qwen2vl_agent.agent.episode import run_episode
from qwen2vl_agent.agent.jobs import EpisodeResult, Job
from qwen2vl_agent.agent.live import CollectionView, PlainView, TerminalView, deed_text, live_view, times
from qwen2vl_agent.agent.picture import fitted, marked, picture
from qwen2vl_agent.agent.policy import scripted_policy
from qwen2vl_agent.agent.settings import EpisodePlan
from qwen2vl_agent.schema.tools import ToolCall
from qwen2vl_agent.schema.trajectory import Reply, Step, StoredFrame


def a_console(terminal: bool, **options: Any) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=120, height=40, **options)


def watched(tmp_path: Path, console: Console, policy: Any) -> str:
    with live_view(console) as view:
        run_episode(Corridor(), policy, EpisodePlan(out=tmp_path), watcher=view)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_without_a_terminal_each_step_is_a_line(tmp_path: Path) -> None:
    shown = watched(tmp_path, a_console(False), scripted_policy("oracle"))
    lines = shown.splitlines()
    assert "\x1b" not in shown
    assert lines[0] == "task corridor.walk: Walk to the end. (oracle, virtual-phone, at most 20 steps)"
    assert lines[1].startswith("  1 Go on. | tap(point=[758, 504]) | done: tap [42, 56] |")
    assert lines[-1] == "verdict: success"
    assert len(lines) == 6


def test_a_models_seconds_and_tokens_are_told_beside_its_step() -> None:
    reply = Reply(
        "Go on.",
        timings={"preprocess": 0.03, "vit": 0.0, "prefill": 0.09, "decode": 0.37},
        tokens={"cached": 812, "read": 204, "written": 61},
    )
    step = Step(0, StoredFrame("0" * 64, 1, 1), "", reply, None, "", None, 0.0, {"policy": 0.5, "capture": 0.08})
    told = "policy 0.50s (preprocess 0.03s prefill 0.09s decode 0.37s, 204 read 812 cached 61 written) capture 0.08s"
    assert times(step) == told
    older = dataclasses.replace(step, reply=Reply("Go on."))
    assert times(older) == "policy 0.50s capture 0.08s"


def test_what_was_done_is_told_without_the_wording_of_commands() -> None:
    performed = {"action": "tap", "x": 671, "y": 1090, "sent": ["input tap 671 1090"]}
    step = Step(0, StoredFrame("0" * 64, 1, 1), "", Reply("Go on."), None, "", performed, 0.0)
    assert deed_text(step) == "done: tap x 671 y 1090"
    assert deed_text(dataclasses.replace(step, performed=None)) == "nothing to send"
    assert deed_text(dataclasses.replace(step, error="no field")) == "not done: no field"


def test_an_unreadable_reply_is_shown_with_what_was_wrong(tmp_path: Path) -> None:
    shown = watched(tmp_path, a_console(False), Says("[bold]what?[/bold]", call("done")))
    assert "1 [bold]what?[/bold] | no call | not done: there is no function call" in shown
    assert shown.splitlines()[-1] == "verdict: failure"


def test_a_terminal_shows_the_picture_the_steps_and_the_outcome(tmp_path: Path) -> None:
    console = a_console(True, color_system="truecolor", _environ={"TERM": "xterm-256color"})
    shown = watched(tmp_path, console, scripted_policy("oracle"))
    assert "▀" in shown
    assert "Walk to the end." in shown
    assert "Go on." in shown
    assert "success" in shown


def test_the_view_suits_the_console() -> None:
    assert isinstance(live_view(a_console(False)), PlainView)
    assert isinstance(live_view(a_console(True, _environ={"TERM": "xterm"})), TerminalView)
    assert isinstance(live_view(a_console(True, _environ={"TERM": "dumb"})), PlainView)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((540, 1200), (27, 30)), ((1920, 1080), (40, 11)), ((28, 28), (40, 20)), ((1, 5000), (1, 30))],
)
def test_a_picture_keeps_its_shape(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert fitted(size, 40, 30) == expected


def test_a_character_carries_two_pixels() -> None:
    image = Image.new("RGB", (2, 4), "red")
    image.paste("blue", (0, 2, 2, 4))
    text = picture(image, 2, 2)
    assert text.plain == "▀▀\n▀▀"
    assert {str(span.style) for span in text.spans} == {"#ff0000 on #ff0000", "#0000ff on #0000ff"}


def test_a_spot_shows_where_the_finger_went() -> None:
    plain = Image.new("RGB", (100, 200), "black")
    spotted = marked(plain, ToolCall("swipe", {"start": [500, 250], "end": [500, 750], "duration_s": 1}))
    assert plain.getcolors() == [(20000, (0, 0, 0))]
    assert [spotted.getpixel(place) for place in ((50, 50), (50, 150), (50, 100))] == [
        (255, 45, 85),
        (255, 45, 85),
        (0, 0, 0),
    ]


@pytest.mark.parametrize(
    "arguments", [{"point": "left"}, {"point": [1]}, {"point": ["a", None]}, {"point": [9e999, -4]}]
)
def test_a_call_that_points_nowhere_marks_nothing(arguments: dict[str, Any]) -> None:
    plain = Image.new("RGB", (100, 200), "black")
    assert marked(plain, ToolCall("tap", arguments)).getcolors() == [(20000, (0, 0, 0))]
    assert marked(plain, None) is plain


@pytest.mark.parametrize("terminal", [True, False])
def test_a_collection_tells_how_many_are_solved_and_what_failed(terminal: bool) -> None:
    console = a_console(terminal, _environ={"TERM": "xterm"})
    job = Job(task="settings.toggle", seed=1)
    with CollectionView(console, 2) as view:
        view.result(EpisodeResult(job, Path("x"), "success", 1.0, 4, False))
        view.failure(job, "Traceback …\nValueError: [no]", again=True)
        view.result(EpisodeResult(job, Path("x"), "failure", 0.0, 9, False))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "1 of 2 solved" in shown
    assert "ValueError: [no]; it is tried again" in shown
