"""What is done to a phone beside acting on it: with consent, put back in the end, and checked."""

import socket
import stat
import threading
from pathlib import Path

import adbutils
import pytest
from phone_shell import SMALL, Adb

from qwen2vl_agent import cli
from qwen2vl_agent.commands.devices import Wish
from qwen2vl_agent.commands.phones import phone_at_hand
from qwen2vl_agent.envs import adb_server
from qwen2vl_agent.envs.android import AndroidDevice
from qwen2vl_agent.envs.android_text import ADB_KEYBOARD, CONSENT_VARIABLE, KEYBOARD_CHANGE
from qwen2vl_agent.envs.calibration import Landing, calibrate, parse_touches
from qwen2vl_agent.envs.virtual_phone.server import PhoneProcess
from qwen2vl_agent.schema.actions import PHONE_ACTIONS, OpenApp, PressKey, TypeText
from qwen2vl_agent.schema.errors import ActionRejected, ConfigError, DeviceLost
from qwen2vl_agent.schema.geometry import MODEL_FRAME, Point
from qwen2vl_agent.schema.tools import ToolCall


@pytest.fixture
def device(adb: Adb, adb_client: adbutils.AdbClient, phone_process: PhoneProcess) -> AndroidDevice:
    return AndroidDevice(phone_process.serial, client=adb_client)


def test_a_real_phones_keyboard_is_changed_on_consent_only_and_put_back(device: AndroidDevice, adb: Adb) -> None:
    asked = []

    def refuse(what: str) -> bool:
        asked.append(what)
        return False

    adb("shell", f"ime disable {ADB_KEYBOARD}")
    device.perform(OpenApp(name="Contacts"))
    device.perform(PressKey(name="search"))
    device._text.virtual, device._text.consent = False, refuse
    with pytest.raises(ActionRejected, match="has not agreed"):
        device.perform(TypeText(text="日本"))
    assert len(asked) == 1
    assert ADB_KEYBOARD.encode() not in adb("shell", "ime list -s").stdout
    device._text.consent = lambda what: True
    device.perform(TypeText(text="日本"))
    assert ADB_KEYBOARD.encode() in adb("shell", "ime list -s").stdout
    device.close()
    assert ADB_KEYBOARD.encode() not in adb("shell", "ime list -s").stdout
    assert b"LatinIME" in adb("shell", "settings get secure default_input_method").stdout
    adb("shell", f"ime enable {ADB_KEYBOARD}")


@pytest.mark.parametrize("turned", [0, 1, 3])
def test_touches_land_on_their_pixels_and_press_nothing(device: AndroidDevice, turned: int) -> None:
    device._shell(f"wm user-rotation lock {turned}")
    device.screenshot()
    before = device.phone_state()
    landings = calibrate(device)
    assert len(landings) == 50
    assert all(landing.within for landing in landings)
    assert device.phone_state() == before
    device._shell("wm user-rotation free")


def test_a_touch_that_lands_beside_is_seen() -> None:
    assert not Landing(Point(1, 1, MODEL_FRAME), (10, 10), (11.0, 10.0)).within
    assert parse_touches("MotionEvent(deviceId=1, action=DOWN, x, pointers=[0: (3.5, 7.0)]), age=1ms") == [(3.5, 7.0)]
    assert parse_touches("MotionEvent(deviceId=1, action=MOVE, x, pointers=[0: (3.5, 7.0)])") == []


def test_doctor_calibrates(adb: Adb, phone_process: PhoneProcess, capsys) -> None:
    assert cli.main(["doctor", "--calibrate", "--serial", phone_process.serial, "--json"]) == 0
    assert '"landed": 50' in capsys.readouterr().out


def test_links_and_the_shade_open(device: AndroidDevice) -> None:
    device.pull_down("settings")
    assert device.phone_state().shade_open
    device.pull_down(None)
    assert not device.phone_state().shade_open
    with pytest.raises(ActionRejected, match="no app of this phone opens"):
        device.open_link("unheard-of://it's/nothing")


def test_more_actions_are_offered_where_asked_for_and_undone_at_the_end(adb: Adb, phone_process: PhoneProcess) -> None:
    wish = Wish(serial=phone_process.serial, options={"more_actions": ("open_link", "pull_down"), "capture": "png"})
    with phone_at_hand(wish) as at_hand:
        env = at_hand.env
        env.reset(seed=1, options={"task": "text"})
        assert [tool.name for tool in env.legal_tools[-2:]] == ["open_link", "pull_down"]
        *_, info = env.step(ToolCall("pull_down", {"what": "notifications"}))
        assert info["performed"]["sent"] == ["cmd statusbar expand-notifications"]
        assert env.device.phone_state().shade_open
        *_, info = env.step(ToolCall("open_link", {"link": "tel:5'55"}))
        assert not info["action_error"], "a quote in a link is no end of a word"
        env.step(ToolCall("pull_down", {"what": "settings"}))
    with phone_at_hand(Wish(serial=phone_process.serial)) as at_hand:
        assert not at_hand.env.device.phone_state().shade_open, "what was pulled down is closed again"
        assert at_hand.env.tools == PHONE_ACTIONS, "nobody asked: the prompt is the one that models were taught"
        at_hand.env.reset(seed=1, options={"task": "text"})
        *_, info = at_hand.env.step(ToolCall("pull_down", {"what": "settings"}))
        assert "unknown function" in info["action_error"]


@pytest.mark.parametrize(("flags", "agrees"), [({"consent": ("keyboard",)}, True), ({}, False)])
def test_consent_is_given_by_a_flag(monkeypatch: pytest.MonkeyPatch, flags: dict, agrees: bool) -> None:
    asked: list = []

    def opened(serial, **given):
        asked.append(given["consent"])
        raise DeviceLost("seen enough")

    monkeypatch.delenv(CONSENT_VARIABLE, raising=False)
    monkeypatch.setattr("qwen2vl_agent.envs.phones.open_phone", opened)
    with pytest.raises(DeviceLost, match="enough"), phone_at_hand(Wish(serial="a", options=flags)):
        pass
    assert (asked[0] is not None and asked[0](KEYBOARD_CHANGE)) == agrees


def fake_adb(folder: Path, answer: str) -> Path:
    path = folder / "adb"
    path.write_text(f'#!/bin/sh\necho "{answer}: $4 $5"\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_pairing_says_what_adb_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Adb's own words, from a script in its place: no phone that pairs is at hand."""
    monkeypatch.setenv("ADBUTILS_ADB_PATH", str(fake_adb(tmp_path, "Successfully paired")))
    assert "192.168.1.20:37123 123456" in adb_server.pair("192.168.1.20:37123", "123456")
    monkeypatch.setenv("ADBUTILS_ADB_PATH", str(fake_adb(tmp_path, "Failed: Wrong password")))
    with pytest.raises(DeviceLost, match="did not pair"):
        adb_server.pair("192.168.1.20:37123", "123456")
    for address, code in (("192.168.1.20", "123456"), ("a:1", "12345")):
        with pytest.raises(ConfigError):
            adb_server.pair(address, code)


def test_an_adb_server_on_another_host_is_used(adb_client, phone_process: PhoneProcess, monkeypatch) -> None:
    listening = socket.create_server(("127.0.0.2", 0))

    def forward(source: socket.socket, target: socket.socket) -> None:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)

    def serve() -> None:
        while True:
            try:
                near = listening.accept()[0]
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", adb_client.port))
            for pair in ((near, far), (far, near)):
                threading.Thread(target=_quietly, args=(forward, *pair), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    monkeypatch.setenv("ANDROID_ADB_SERVER_HOST", "127.0.0.2")
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(listening.getsockname()[1]))
    device = AndroidDevice(phone_process.serial, client=adb_server.adb_client())
    assert device.screenshot().size == SMALL
    listening.close()
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", "9")
    with pytest.raises(DeviceLost, match=r"no adb server answers at 127\.0\.0\.2:9"):
        adb_server.adb_client()


def _quietly(work, *arguments) -> None:
    try:
        work(*arguments)
    except OSError:
        pass
    finally:
        for connection in arguments:
            connection.close()
