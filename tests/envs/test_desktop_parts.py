"""Parts of the desktop device that need no display: which session, keys, corners."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen2vl_agent.commands.desktops import desktop_at_hand
from qwen2vl_agent.commands.devices import Wish
from qwen2vl_agent.envs.desktop import virtual
from qwen2vl_agent.envs.desktop.device import out_of_corners
from qwen2vl_agent.envs.desktop.keys import chord, key
from qwen2vl_agent.envs.desktop.session import display_to_use
from qwen2vl_agent.envs.desktop.virtual import VirtualDesktop
from qwen2vl_agent.schema.errors import ActionRejected, ConfigError


def test_the_environments_display_is_used_unless_another_is_named():
    assert display_to_use("", {"DISPLAY": ":0"}, "linux") == ":0"
    assert display_to_use(":5", {"DISPLAY": ":0"}, "linux") == ":5"
    assert display_to_use(":5", {}, "linux") == ":5"
    assert display_to_use("", {}, "darwin") == ""


@pytest.mark.parametrize("sign", [{"WAYLAND_DISPLAY": "wayland-0"}, {"XDG_SESSION_TYPE": "wayland"}])
def test_a_wayland_session_is_refused_with_a_way_out(sign):
    for named in ("", ":0"):  # :0 is only the X that Wayland runs for old programs
        with pytest.raises(ConfigError, match=r"Wayland.*Xorg session.*--virtual"):
            display_to_use(named, {"DISPLAY": ":0", **sign}, "linux")
    assert display_to_use(":7", {"DISPLAY": ":0", **sign}, "linux") == ":7"


def test_without_a_display_it_is_said_what_to_do():
    with pytest.raises(ConfigError, match=r"DISPLAY is not set.*--display :0.*--virtual"):
        display_to_use("", {}, "linux")


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_macos_and_windows_have_no_displays_to_name(platform):
    with pytest.raises(ConfigError, match="--display"):
        display_to_use(":1", {}, platform)


def test_virtual_and_display_exclude_each_other():
    wish = Wish(device="desktop", options={"virtual": True, "display": ":0"})
    with pytest.raises(ConfigError, match="--display"), desktop_at_hand(wish):
        pass


def test_missing_programs_are_told_by_package(monkeypatch):
    monkeypatch.setattr(virtual.shutil, "which", lambda name: None if name in ("Xvfb", "xclip") else "/usr/bin/" + name)
    with pytest.raises(ConfigError, match=r"apt-get install xclip xvfb$"):
        VirtualDesktop((800, 600))


@pytest.mark.parametrize(
    ("keys", "names"),
    [
        ("enter", ["enter"]),
        ("Ctrl+Shift+T", ["ctrl", "shift", "t"]),
        ("super", ["win"]),
        ("+", ["+"]),
        ("ctrl++", ["ctrl", "+"]),
        ("ctrl+plus", ["ctrl", "+"]),
        ("alt + F4", ["alt", "f4"]),
        ("A", ["A"]),
        (" ", ["space"]),
    ],
)
def test_hotkeys_are_read(keys, names):
    assert chord(keys) == names


@pytest.mark.parametrize("keys", ["", "nosuchkey", "ctrl+nosuchkey", "é", "ctrl+日"])
def test_what_is_no_key_is_rejected(keys):
    with pytest.raises(ActionRejected):
        chord(keys)
    if keys and "+" not in keys:
        with pytest.raises(ActionRejected):
            key(keys)


@given(st.integers(3, 4000), st.integers(3, 4000), st.data())
def test_only_corners_are_moved_and_by_one_pixel(width, height, data):
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    corners = {(0, 0), (width - 1, 0), (0, height - 1), (width - 1, height - 1)}
    new = out_of_corners(x, y, (width, height))
    assert new not in corners
    assert new == (x, y) if (x, y) not in corners else (abs(new[0] - x), abs(new[1] - y)) == (1, 1)
