"""The desktop device on virtual desktops: what arrives at windows of our own and at applications from Debian."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest
from gymnasium.utils.env_checker import check_env
from x_window import Witness

from qwen2vl_agent.envs.desktop.device import DesktopDevice
from qwen2vl_agent.envs.desktop.session import stale_xlib
from qwen2vl_agent.envs.desktop.virtual import missing
from qwen2vl_agent.envs.register import make_env
from qwen2vl_agent.schema.actions import Click, Drag, Hotkey, KeyDown, KeyUp, Move, Scroll, Tap, TypeText, Wait
from qwen2vl_agent.schema.errors import ActionRejected, ActionVoid, ConfigError, DeviceLost
from qwen2vl_agent.schema.geometry import Frame, Point

pytest.importorskip("mss", reason="the extra [desktop] is not installed")
pytestmark = [
    pytest.mark.desktop,
    pytest.mark.skipif(bool(stale_xlib()), reason=stale_xlib()),
    pytest.mark.skipif(bool(missing()), reason=f"not installed: apt-get install {' '.join(missing())}"),
]
SIZE = (640, 480)
SCRIPTS = {
    "ASCII": "a<b>c ~!@#$%^&*()_+{}|:\"?'\\`-=[];,./ Zz09",
    "Latin": "Crème brûlée, straße €",
    "Greek": "Καλημέρα κόσμε",
    "Cyrillic": "Съешь ещё булок",
    "Arabic": "مرحبا بالعالم",
    "Hebrew": "שלום עולם",
    "Devanagari": "नमस्ते दुनिया",
    "Tamil": "வணக்கம் உலகம்",
    "Thai": "สวัสดีชาวโลก",
    "Han": "你好，世界",
    "Japanese": "こんにちは カタカナ",
    "Hangul": "안녕하세요",
    "emoji": "done 😀👍🏽",
    "long": "The quick brown fox <jumps> over the lazy dog. " * 30,
}


@pytest.fixture(scope="module")
def shared():
    device = DesktopDevice(virtual=True, size=SIZE)
    yield device
    device.close()


@pytest.fixture
def device(shared):
    shared.begin()
    return shared


@pytest.fixture
def witness(device):
    window = Witness(device.display)
    yield window
    window.close()


def at(device, x: int, y: int) -> Point:
    return Point(x, y, device.frame)


def within(check, limit_s: float = 60.0):
    """The first true result of `check`."""
    end = time.monotonic() + limit_s
    while not (found := check()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)
    return found


def type_as_an_agent(device, action: TypeText) -> None:
    """Type; where nobody fetched the text, which is told as void, once more. A text that came twice is no success."""
    try:
        device.perform(action)
    except ActionVoid:
        device.perform(action)


def needs(*programs: str):
    """Skip where a program is not installed."""
    lacking = [program for program in programs if shutil.which(program) is None]
    return pytest.mark.skipif(bool(lacking), reason=f"not installed: {' '.join(lacking)}")


def buttons(events):
    return [(kind, place) for kind, place in events if kind.startswith("button")]


def copied(device) -> bytes:
    command = ["xclip", "-o", "-selection", "clipboard", "-d", device.display]
    return subprocess.run(command, capture_output=True, timeout=20).stdout


def copy(device, data: bytes, kind: str = "UTF8_STRING") -> None:
    command = ["xclip", "-i", "-selection", "clipboard", "-t", kind, "-d", device.display]
    subprocess.run(command, input=data, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=20, check=True)


# Mouse -------------------------------------------------------------------------------------------------------------


def test_the_picture_shows_the_display_in_rgb(device, witness):
    image = device.screenshot()
    assert image.size == SIZE
    assert image.mode == "RGB"
    assert image.getpixel((300, 200)) == (0x33, 0x66, 0x99)


@pytest.mark.parametrize(("button", "number"), [("left", 1), ("middle", 2), ("right", 3)])
def test_a_click_arrives_at_its_pixel_with_its_button(device, witness, button, number):
    sent = device.perform(Click(point=at(device, 123, 45), button=button, count=2))
    place = (123, 45)
    assert sent["point"] == [123, 45]
    assert buttons(witness.seen()) == [(f"button {number} down", place), (f"button {number} up", place)] * 2


def test_points_of_a_smaller_picture_land_on_the_same_spot(device, witness):
    device.perform(Click(point=Point(80, 60, Frame("resized", 320, 240))))
    assert buttons(witness.seen())[0][1] == (161, 121)


def test_modifiers_are_held_during_a_click_and_released_after(device, witness):
    device.perform(Click(point=at(device, 50, 50), modifiers="ctrl+shift"))
    kinds = [(kind, what) if kind.startswith("key") else kind for kind, what in witness.seen() if kind != "motion"]
    ctrl, shift = "0xffe3", "0xffe1"
    assert kinds == [
        ("key down", ctrl), ("key down", shift), "button 1 down", "button 1 up", ("key up", shift), ("key up", ctrl),
    ]  # fmt: skip


def test_a_drag_passes_places_on_its_way(device, witness):
    device.perform(Drag(start=at(device, 100, 100), end=at(device, 300, 200)))
    events = witness.seen()
    down, up = events.index(("button 1 down", (100, 100))), events.index(("button 1 up", (300, 200)))
    assert len({place for kind, place in events[down:up] if kind == "motion"}) >= 5


def test_the_wheel_turns_in_all_directions(device, witness):
    where = at(device, 200, 200)
    for dx, dy, number in ((0, 2, 5), (0, -2, 4), (2, 0, 7), (-2, 0, 6)):
        device.perform(Scroll(point=where, dx=dx, dy=dy))
        assert [kind for kind, _ in buttons(witness.seen())] == [f"button {number} down", f"button {number} up"] * 2


def test_a_corner_stops_nothing(device, witness):
    for corner in ((0, 0), (SIZE[0] - 1, SIZE[1] - 1)):
        device.perform(Click(point=at(device, *corner)))
    assert len(buttons(witness.seen())) == 4


def test_what_a_desktop_has_not_is_rejected(device):
    with pytest.raises(ActionRejected, match="cannot tap"):
        device.perform(Tap(point=at(device, 1, 1)))
    with pytest.raises(ActionRejected, match="no key"):
        device.perform(Hotkey(keys="ctrl+nosuchkey"))


# Keyboard ----------------------------------------------------------------------------------------------------------


def test_held_keys_stay_down_until_released_or_the_episode_ends(device, witness):
    device.perform(KeyDown(key="shift"))
    device.perform(Hotkey(keys="a"))
    device.perform(KeyUp(key="shift"))
    shift = "0xffe1"
    assert witness.seen() == [("key down", shift), ("key down", "a"), ("key up", "a"), ("key up", shift)]
    device.perform(KeyDown(key="alt"))
    device.begin()
    assert [kind for kind, _ in witness.seen()] == ["key down", "key up"]


def open_terminal(device):
    """An xterm whose input goes to a file, with the keyboard."""
    device.virtual.launch(["xterm", "-u8", "-e", "cat > typed.txt"])
    (window,) = within(device.elements)
    within((device.virtual.home / "typed.txt").exists)
    device.perform(Click(point=at(device, *window.centre)))
    within(lambda: device.elements()[0].focused)
    return device.virtual.home / "typed.txt"


@pytest.fixture
def terminal(device):
    return open_terminal(device)


@needs("xterm")
@pytest.mark.parametrize("script", [script for script in SCRIPTS if script != "long"])
def test_text_in_every_script_arrives_in_a_terminal(device, terminal, script):
    type_as_an_agent(device, TypeText(text=SCRIPTS[script] + "\n"))
    assert within(terminal.read_text) == SCRIPTS[script] + "\n"


@needs("xterm")
def test_an_episode_begins_when_a_busy_window_manager_has_seen_the_last_one_end(device, terminal):
    """Else it takes the new window, which X gives the same id, for the old one."""
    os.kill(device.virtual.window_manager_pid, signal.SIGSTOP)
    threading.Timer(1.0, os.kill, (device.virtual.window_manager_pid, signal.SIGCONT)).start()
    device.begin()
    typed = open_terminal(device)
    type_as_an_agent(device, TypeText(text="ไทย\n"))
    assert within(typed.read_text) == "ไทย\n"


@needs("xterm")
def test_a_window_manager_that_has_ended_is_told(other, monkeypatch):
    open_terminal(other)
    monkeypatch.setattr("qwen2vl_agent.envs.desktop.device.NOTICED_WITHIN_S", 0.5)
    os.kill(other.virtual.window_manager_pid, signal.SIGKILL)
    with pytest.raises(DeviceLost, match="window manager"):
        other.begin()


def minimise(device) -> None:
    """Ask the window manager to take the one window from the screen, as ICCCM 4.1.4 has it."""
    from Xlib import X, Xutil
    from Xlib.display import Display
    from Xlib.protocol.event import ClientMessage

    display = Display(device.display)
    (number,) = device.hand.listed()
    kind = display.intern_atom("WM_CHANGE_STATE")
    message = ClientMessage(window=number, client_type=kind, data=(32, [Xutil.IconicState, 0, 0, 0, 0]))
    display.screen().root.send_event(message, X.SubstructureRedirectMask | X.SubstructureNotifyMask)
    display.sync()
    display.close()


@needs("xterm")
def test_a_window_that_is_not_on_the_screen_is_no_element(device, terminal):
    """Also a new one is in the window manager's list, and active, before it is on the screen and can be clicked."""
    (before,) = device.hand.windows()
    minimise(device)  # openbox moves it out of the screen while it fades, and back
    within(lambda: device.hand.windows()[0] == {**before, "shown": False, "active": False})
    assert device.elements() == []


@pytest.fixture(scope="module")
def editor(shared):
    """A mousepad on a file."""
    shared.begin()
    shared.virtual.launch(["dbus-run-session", "--", "mousepad", "--disable-server", str(shared.virtual.home / "t")])
    within(shared.elements)
    return shared.virtual.home / "t"


@needs("mousepad", "dbus-run-session")
@pytest.mark.parametrize("script", SCRIPTS)
def test_text_in_every_script_arrives_in_an_editor(shared, editor, script):
    within(lambda: shared.elements() and shared.elements()[-1].focused)
    type_as_an_agent(shared, TypeText(text=SCRIPTS[script], clear_first=True))
    shared.perform(Hotkey(keys="ctrl+s"))
    within(lambda: editor.exists() and editor.read_text().rstrip("\n") == SCRIPTS[script].rstrip("\n"))


@needs("xterm")
@pytest.mark.parametrize(
    ("data", "kind"), [("früher kopiert".encode(), "UTF8_STRING"), (b"\x89PNG not really", "image/png"), (b"", "")]
)
def test_the_clipboard_is_given_back(device, terminal, data, kind):
    copy(device, data, kind or "UTF8_STRING")
    sent = device.perform(TypeText(text="日本\n"))
    assert sent["by"] == "clipboard"
    assert within(terminal.read_text) == "日本\n"
    command = ["xclip", "-o", "-selection", "clipboard", "-d", device.display, *(["-t", kind] if kind else [])]
    assert subprocess.run(command, capture_output=True, timeout=20).stdout == data


def test_a_paste_that_nobody_takes_is_told(device, witness):
    with pytest.raises(ActionVoid, match=r"did not paste"):
        device.perform(TypeText(text="日本"))


# Several desktops, and their ends ------------------------------------------------------------------------------------


@pytest.fixture
def other():
    device = DesktopDevice(virtual=True, size=(800, 600))
    yield device
    device.close()


def test_two_desktops_at_once_do_not_meet(device, other, monkeypatch):
    """Though the environment names the first one, as it names the user's."""
    monkeypatch.setenv("DISPLAY", device.display)
    assert device.display != other.display
    mine, theirs = Witness(device.display), Witness(other.display)
    mine.push(111, 99)
    mine.seen()
    for step in range(5):
        other.perform(Click(point=at(other, 700 + step, 500)))
        other.perform(Drag(start=at(other, 10, 10), end=at(other, 400, 400)))
        other.perform(TypeText(text="abc"))
    assert mine.seen() == []
    assert mine.pointer() == (111, 99)
    assert len(buttons(theirs.seen())) == 20
    device.perform(Move(point=at(device, 5, 6)))
    assert (mine.pointer(), theirs.pointer()) == ((5, 6), (400, 400))
    mine.close()
    theirs.close()


def test_the_users_corner_stops_the_agent_and_is_explained(device):
    """A display that is named, not virtual, has the fail-safe."""
    user = Witness(device.display)
    named = DesktopDevice(display=device.display)
    try:
        named.perform(Click(point=at(named, 0, 0)))  # the agent itself cannot get there
        assert [place for _, place in buttons(user.seen())] == [(1, 1)] * 2
        user.push(0, 0)
        user.seen()
        for action in (Click(point=at(named, 9, 9)), TypeText(text="é"), TypeText(text="e"), Hotkey(keys="enter")):
            with pytest.raises(ActionRejected, match=r"corner.*fail-safe.*moves the pointer out"):
                named.perform(action)
        assert user.seen() == []
        user.push(50, 50)
        named.perform(Hotkey(keys="a"))
        assert ("key down", "a") in user.seen()
    finally:
        named.close()
        user.close()


def test_a_hand_or_a_display_that_dies_is_lost(other):
    other.hand._process.kill()
    with pytest.raises(DeviceLost, match="mouse and keyboard"):
        other.perform(Hotkey(keys="a"))
    os.kill(other.virtual.server_pid, signal.SIGKILL)
    with pytest.raises(DeviceLost, match="cannot be seen"):
        within(lambda: other.screenshot() and False)


def test_a_display_that_is_not_there_is_lost():
    with pytest.raises(DeviceLost, match=":4711"):
        DesktopDevice(display=":4711")


def test_a_monitor_that_is_not_there_is_told(device):
    with pytest.raises(ConfigError, match="there is no monitor 7"):
        DesktopDevice(display=device.display, monitor=7)
    one = DesktopDevice(display=device.display, monitor=1)
    assert one.screenshot().size == SIZE
    one.close()


def test_a_virtual_desktop_ends_even_if_its_program_is_killed():
    program = (
        "from qwen2vl_agent.envs.desktop.device import DesktopDevice\n"
        "desk = DesktopDevice(virtual=True, size=(300, 300))\n"
        "print(desk.virtual.server_pid, desk.virtual.home, flush=True)\n"
        "input()"
    )
    owner = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    pid, home = owner.stdout.readline().split()
    assert os.path.isdir(home)
    owner.kill()
    owner.communicate()
    within(lambda: not os.path.exists(f"/proc/{pid}") and not os.path.exists(home))


# As an environment ---------------------------------------------------------------------------------------------------


def test_it_keeps_gymnasiums_contract():
    env = make_env("desktop", virtual=True, size=(320, 240), task="look around", max_steps=3, settle_limit_s=0.5)
    check_env(env, skip_render_check=True)
    env.close()


@needs("mousepad", "dbus-run-session")
def test_an_episode_begins_when_the_windows_of_the_last_one_are_gone(device):
    for _ in range(8):
        file = device.virtual.home / "words.txt"
        file.write_text("of an earlier episode")
        device.virtual.launch(["dbus-run-session", "--", "mousepad", "--disable-server", str(file)])
        within(device.elements)
        device.begin()
        assert device.elements() == []


def test_free_text_begins_on_an_empty_desktop():
    env = make_env("desktop", virtual=True, size=(320, 240), task="Do nothing")
    pixels, info = env.reset(seed=1)
    assert pixels.shape == (240, 320, 3)
    assert info["goal"] == "Do nothing"
    _, reward, *_, info = env.step(Wait(seconds=0))
    assert (reward, info["performed"]["action"]) == (0.0, "wait")
    env.close()
    with pytest.raises(DeviceLost):
        env.device.screenshot()
