"""macOS and Windows, with stand-ins for what their systems answer; neither was run."""

import sys
from types import SimpleNamespace

import pytest
from PIL import Image

from qwen2vl_agent.envs.desktop import device as desktop
from qwen2vl_agent.envs.desktop.hand import Hand
from qwen2vl_agent.envs.desktop.hand_process import Hand as GuiHand
from qwen2vl_agent.envs.desktop.keys import chord, key
from qwen2vl_agent.envs.desktop.permissions import check_permissions
from qwen2vl_agent.envs.desktop.scaling import see_every_pixel
from qwen2vl_agent.schema.actions import Click, Drag
from qwen2vl_agent.schema.errors import ConfigError, DeviceLost
from qwen2vl_agent.schema.geometry import MODEL_FRAME, Frame, Point

GRID = MODEL_FRAME
BEST = "SetProcessDpiAwarenessContext"


@pytest.mark.parametrize(
    ("off", "told"),
    [
        ({"CGPreflightScreenCaptureAccess"}, r"see other windows: open System Settings, .*, Screen Recording, turn on"),
        ({"AXIsProcessTrusted"}, r"use mouse and keyboard: open System Settings, .*, Accessibility, turn on"),
        ({"CGPreflightScreenCaptureAccess", "AXIsProcessTrusted"}, r"Screen Recording and Accessibility"),
    ],
)
def test_on_macos_a_switch_that_is_off_is_named_with_where_it_is(off, told):
    with pytest.raises(ConfigError, match=told):
        check_permissions("darwin", lambda library, function: function not in off)


def test_with_both_switches_on_nothing_is_said():
    check_permissions("darwin", lambda library, function: True)


@pytest.mark.parametrize("platform", ["linux", "win32"])
def test_other_systems_are_not_asked(platform):
    check_permissions(platform, lambda library, function: pytest.fail(f"asked for {function}"))


class Library:
    """A library of Windows: its functions by name, each noting how it was called."""

    def __init__(self, calls: list, names: tuple[str, ...]) -> None:
        for name in names:
            setattr(self, name, lambda *given, name=name: calls.append((name, *given)))


@pytest.mark.parametrize(
    ("user32", "shcore", "way"),
    [
        ((BEST, "SetProcessDPIAware"), ("SetProcessDpiAwareness",), BEST),
        (("SetProcessDPIAware",), ("SetProcessDpiAwareness",), "SetProcessDpiAwareness"),
        (("SetProcessDPIAware",), None, "SetProcessDPIAware"),
        ((), None, ""),
    ],
    ids=["Windows 10", "Windows 8.1", "Windows 7", "none"],
)  # fmt: skip
def test_windows_is_asked_for_real_pixels_in_the_best_way_that_it_has(user32, shcore, way):
    calls: list = []
    libraries = SimpleNamespace(user32=Library(calls, user32))
    if shcore is not None:
        libraries.shcore = Library(calls, shcore)
    assert see_every_pixel("win32", libraries) == way
    assert [call[0] for call in calls] == ([way] if way else [])


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_elsewhere_there_is_nothing_to_ask(platform):
    assert see_every_pixel(platform, None) == ""


class Orders:
    """Notes what a hand is told."""

    desktop_size = (1440, 900)

    def __init__(self, *where, **how) -> None:
        self.told: list = []

    def do(self, order, **given):
        self.told.append((order, given))

    def close(self) -> None:
        """Nothing to end."""


class Retina:
    """A screen of 1440 x 900 points, with two pixels for each."""

    def __init__(self, *where) -> None:
        self.area = {"left": 0, "top": 0, "width": 1440, "height": 900}

    def picture(self) -> Image.Image:
        return Image.new("RGB", (2880, 1800))

    def close(self) -> None:
        """Nothing to end."""


@pytest.fixture
def mac(monkeypatch):
    monkeypatch.setattr(desktop, "Capture", Retina)
    monkeypatch.setattr(desktop, "Hand", Orders)
    monkeypatch.setattr(desktop, "stale_xlib", lambda: "")
    monkeypatch.setattr(desktop, "display_to_use", lambda named: "")
    device = desktop.DesktopDevice()
    yield device
    device.close()


@pytest.mark.parametrize(
    "point", [Point(500, 250, GRID), Point(1440, 450, Frame("screenshot", 2880, 1800))], ids=["share", "pixel"]
)
def test_on_a_retina_screen_the_pointer_moves_in_points_not_in_pixels(mac, point):
    assert mac.screenshot().size == (2880, 1800)
    sent = mac.perform(Click(point=point))
    ((order, given),) = mac.hand.told
    assert order == "click"
    assert abs(given["x"] - 720) <= 1
    assert abs(given["y"] - 225) <= 1
    assert sent["point"] == [given["x"], given["y"]]


def test_the_last_pixel_of_a_retina_screen_is_still_on_it(mac):
    mac.perform(Drag(start=Point(0, 500, GRID), end=Point(999, 500, GRID)))
    ((_, given),) = mac.hand.told
    assert 0 <= given["x1"] < given["x2"] < 1440


def test_the_key_beside_the_space_bar_is_known_by_each_platforms_name():
    assert [key("super", platform) for platform in ("linux", "win32", "darwin")] == ["win", "win", "command"]
    assert key("cmd", "win32") == "win"
    assert chord("ctrl+a") == ["ctrl", "a"]


@pytest.mark.parametrize(("platform", "modifier"), [("darwin", "command"), ("win32", "ctrl")])
def test_text_is_cleared_and_pasted_by_the_platforms_own_keys(monkeypatch, platform, modifier):
    monkeypatch.setattr(sys, "platform", platform)
    hand = object.__new__(GuiHand)
    pressed: list[str] = []
    hand.gui = SimpleNamespace(
        FAILSAFE=True,
        failSafeCheck=lambda: None,
        keyDown=pressed.append,
        keyUp=lambda name: None,
        write=lambda text: pressed.append(f"write {text}"),
    )
    hand.x11 = None
    assert hand.type("plain", clear_first=True) == "keys"
    assert pressed == [modifier, "a", "delete", "write plain"]


@pytest.mark.parametrize(("platform", "notch"), [("win32", 120), ("darwin", 1)])
def test_a_notch_of_the_wheel_is_as_large_as_the_platform_counts_it(monkeypatch, platform, notch):
    monkeypatch.setattr(sys, "platform", platform)
    hand, turned = object.__new__(GuiHand), []
    hand.gui = SimpleNamespace(moveTo=lambda x, y: None, scroll=turned.append, hscroll=turned.append)
    hand.scroll(1, 2, dx=3, dy=2)
    assert turned == [-2 * notch, 3 * notch]


def test_a_hand_is_waited_for_without_asking_pipes_whether_they_are_ready(monkeypatch):
    """Windows cannot: its `select` takes sockets only."""
    monkeypatch.setattr("qwen2vl_agent.envs.desktop.hand.importlib.util.find_spec", lambda name: object())
    monkeypatch.setattr("qwen2vl_agent.envs.desktop.hand.MODULE", "json.tool")  # reads to the end, then fails on it
    monkeypatch.setattr("qwen2vl_agent.envs.desktop.hand.START_WITHIN_S", 0.3)
    with pytest.raises(DeviceLost, match=r"no answer for 0\.3 s"):
        Hand(":99")
