"""A phone over adb: what is sent is what arrives, and what cannot be is said."""

import io
import struct
from collections.abc import Iterator

import adbutils
import pytest
from phone_shell import SMALL, Adb
from PIL import Image, ImageChops

from qwen2vl_agent.envs import adb_server
from qwen2vl_agent.envs.adb_link import AdbLink
from qwen2vl_agent.envs.android import AndroidDevice
from qwen2vl_agent.envs.android_apps import InstalledApp, find_app, parse_apps
from qwen2vl_agent.envs.android_capture import Capture, decode_png, decode_raw
from qwen2vl_agent.envs.device import PhoneDevice
from qwen2vl_agent.envs.phones import open_phone, open_virtual_phone
from qwen2vl_agent.envs.virtual_phone.device import VirtualPhoneDevice
from qwen2vl_agent.envs.virtual_phone.faults import Faults
from qwen2vl_agent.envs.virtual_phone.phone import VirtualPhone
from qwen2vl_agent.envs.virtual_phone.server import PhoneProcess, start_virtual_phone
from qwen2vl_agent.envs.virtual_phone.state import random_state
from qwen2vl_agent.envs.virtual_phone.words import Words
from qwen2vl_agent.schema.actions import (
    Action,
    DoubleTap,
    LongPress,
    OpenApp,
    PressKey,
    Swipe,
    Tap,
    TypeText,
    Wait,
)
from qwen2vl_agent.schema.errors import ActionRejected, ConfigError, DeviceLost
from qwen2vl_agent.schema.geometry import MODEL_FRAME, Frame, Point

FRAME = Frame("device", *SMALL)
SEQUENCE: list[Action] = [
    OpenApp(name="settings"),
    Swipe(start=Point(500, 800, MODEL_FRAME), end=Point(500, 300, MODEL_FRAME), duration_s=0.4),
    Tap(point=Point(500, 500, MODEL_FRAME)),
    PressKey(name="back"),
    PressKey(name="app_switch"),
    PressKey(name="home"),
    LongPress(point=Point(500, 600, MODEL_FRAME), duration_s=0.8),
    DoubleTap(point=Point(300, 600, MODEL_FRAME)),
    Wait(seconds=30),
    OpenApp(name="Contacts"),
    PressKey(name="search"),
    TypeText(text="it's 100%sure\n"),
    TypeText(text="Zoë 日本", clear_first=True),
    PressKey(name="delete"),
    PressKey(name="volume_up"),
    PressKey(name="power"),
    PressKey(name="wakeup"),
]


@pytest.fixture
def device(adb: Adb, adb_client: adbutils.AdbClient, phone_process: PhoneProcess) -> Iterator[AndroidDevice]:
    device = AndroidDevice(phone_process.serial, client=adb_client)
    yield device
    device.close()


def test_a_phone_over_adb_and_one_in_this_process_go_the_same_way(device: AndroidDevice) -> None:
    """Every action of the set, with the same screen, elements and foreground after each."""
    here = VirtualPhoneDevice(VirtualPhone(random_state(5, Words.test()), SMALL))
    assert isinstance(device, PhoneDevice)
    assert isinstance(here, PhoneDevice)
    for action in SEQUENCE:
        done, same = device.perform(action), here.perform(action)
        assert {key: value for key, value in done.items() if key in same} | done == done | same, action
        assert device.foreground() == here.foreground(), action
        assert device.elements() == here.elements(), action
        here.phone.state.now_s = device.phone_state().now_s  # long texts are several events over adb
        here.phone.refresh()
        assert ImageChops.difference(device.screenshot(), here.screenshot()).getbbox() is None, action
    assert device.phone_state() == here.phone_state()


def test_points_of_any_frame_are_sent_as_whole_device_pixels(device: AndroidDevice) -> None:
    assert device.frame == FRAME
    assert device.perform(Tap(point=Point(999, 0, MODEL_FRAME)))["sent"] == ["input tap 539 0"]
    assert device.perform(Tap(point=Point(1, 2, FRAME)))["sent"] == ["input tap 1 2"]
    resized = Frame("resized", 1080, 2408)
    done = device.perform(Swipe(start=Point(1079, 2407, resized), end=Point(0, 0, resized), duration_s=0.25))
    assert done["sent"] == ["input swipe 539 1199 0 0 250"]
    assert (done["x1"], done["y1"], done["x2"], done["y2"]) == (539, 1199, 0, 0)


def test_a_size_override_becomes_the_frame(adb: Adb, adb_client: adbutils.AdbClient, phone_process) -> None:
    adb("shell", "wm size 270x600")
    device = AndroidDevice(phone_process.serial, client=adb_client)
    assert (device.frame.width, device.frame.height) == device.screenshot().size == (270, 600)
    adb("shell", "wm size reset")
    assert device.screenshot().size == SMALL
    assert (device.frame.width, device.frame.height) == SMALL


def test_a_turned_phone_has_its_sides_swapped(device: AndroidDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    class Turned:
        text = (
            "Physical size: 1080x2400\nOverride size: 720x1600\n  mViewports=[DisplayViewport{type=INTERNAL, "
            "valid=true, isActive=true, displayId=0, physicalPort=0, orientation=3, deviceWidth=1600}]"
        )

    monkeypatch.setattr(device, "_shell", lambda line: Turned)
    assert device._read_frame() == Frame("device", 1600, 720, 3)


def test_what_the_phone_cannot_do_is_rejected_in_words(device: AndroidDevice) -> None:
    with pytest.raises(ActionRejected, match="no app is called 'Solitaire'; there are Settings"):
        device.perform(OpenApp(name="Solitaire"))
    with pytest.raises(ActionRejected, match="no text field has the focus"):
        device.perform(TypeText(text="a"))


def test_other_scripts_need_the_adb_keyboard_and_the_owners_comes_back(
    device: AndroidDevice, adb: Adb, monkeypatch: pytest.MonkeyPatch
) -> None:
    device.perform(OpenApp(name="Contacts"))
    device.perform(PressKey(name="search"))
    device.perform(TypeText(text="ß"))
    assert b"adbkeyboard" in adb("shell", "settings get secure default_input_method").stdout
    device.close()
    assert b"LatinIME" in adb("shell", "settings get secure default_input_method").stdout
    monkeypatch.setattr("qwen2vl_agent.envs.android_text.ADB_KEYBOARD", "not.installed/.Ime")
    with pytest.raises(ActionRejected, match="ASCII text"):
        device.perform(TypeText(text="ß"))


def test_a_state_is_loaded_and_read_back(device: AndroidDevice) -> None:
    state = random_state(77, Words.train())
    device.load_state(state)
    assert device.phone_state() == state


def test_a_real_phone_has_no_state(device: AndroidDevice) -> None:
    device.virtual = False
    for call in (device.phone_state, lambda: device.load_state(random_state(1, Words.test()))):
        with pytest.raises(ConfigError, match="real phone"):
            call()


def test_a_phone_that_goes_in_the_middle_is_lost(adb_client: adbutils.AdbClient) -> None:
    with start_virtual_phone(1, size=(180, 400)) as process:
        device = AndroidDevice(adb_server.connect(adb_client, process.serial), client=adb_client, patience_s=0.2)
        device.screenshot()
        process.process.kill()
        process.process.wait()
        for call in (device.screenshot, device.elements, lambda: device.perform(PressKey(name="home"))):
            with pytest.raises(DeviceLost, match="does not answer"):
                call()
        adb_server.disconnect(process.serial)


def test_the_faster_way_of_capturing_is_found_and_a_broken_one_left(
    adb_client: adbutils.AdbClient, phone_process: PhoneProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qwen2vl_agent.envs.android_capture.SLOW_S", 1e9)  # exact ways only, however busy the machine
    link = AdbLink(adb_client, phone_process.serial)
    expected = Capture(link, "png").take()
    for way in ("auto", "raw", "png"):
        capture = Capture(link, way)
        assert [capture.take().tobytes() == expected.tobytes() for _ in range(2)] == [True, True]
    broken = {"screencap": b"", "screencap -p": link.exec_out("screencap -p")}
    monkeypatch.setattr(link, "exec_out", broken.__getitem__)
    for way in ("auto", "raw"):
        assert Capture(link, way).take().tobytes() == expected.tobytes()


def test_a_capture_that_is_never_whole_is_lost_and_not_black(adb_client: adbutils.AdbClient) -> None:
    with open_virtual_phone(size=(180, 400), faults=Faults(truncate=500)) as device, pytest.raises(
        DeviceLost, match="no whole picture"
    ):  # fmt: skip
        device.screenshot()


def test_without_a_phone_attached_a_virtual_one_is_opened_and_taken_away_again(
    adb_client: adbutils.AdbClient, phone_process: PhoneProcess
) -> None:
    opened = open_phone(seed=3, size=(180, 400))
    try:
        assert opened.description.startswith("virtual phone")
        assert opened.device.serial != phone_process.serial
        assert opened.device.phone_state().seed == 3
    finally:
        opened.device.close()
    assert opened.device.serial not in [item.serial for item in adb_server.attached(adb_client)]
    assert open_phone(phone_process.serial).device.serial == phone_process.serial


REAL_LISTING = """2 activities found:
  Activity #0:
    priority=0 preferredOrder=0 match=0x108000 specificIndex=-1 isDefault=false
    ActivityInfo:
      name=com.google.android.deskclock.DeskClock
      packageName=com.google.android.deskclock
      labelRes=0x7f11 nonLocalizedLabel=null icon=0x7f08 banner=0x0
  Activity #1:
    ActivityInfo:
      name=com.android.settings.Settings
      packageName=com.android.settings
      labelRes=0x7f12 nonLocalizedLabel=null icon=0x0 banner=0x0
"""


@pytest.mark.parametrize(
    ("name", "package"),
    [("Clock", "com.google.android.deskclock"), ("settings", "com.android.settings"),
     ("com.android.settings", "com.android.settings")],
)  # fmt: skip
def test_apps_without_labels_are_found_by_their_package(name: str, package: str) -> None:
    assert find_app(parse_apps(REAL_LISTING), name).package == package


def test_labels_decide_before_packages() -> None:
    apps = [
        InstalledApp("a.b", ".M", "Clock"),
        InstalledApp("x.clock", ".M", "Watch"),
        InstalledApp("a.c", ".M", "Clock+"),
    ]
    assert find_app(apps[:2], " clock ").package == "a.b"
    with pytest.raises(ActionRejected, match="several apps are called 'clock'"):
        find_app(apps, "clock")
    with pytest.raises(ActionRejected, match="no app"):
        find_app(apps, "!")


def test_captures_are_decoded_whole_or_not_at_all() -> None:
    image = Image.linear_gradient("L").convert("RGB")
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    png, pixels = buffer.getvalue(), image.convert("RGBA").tobytes()
    for header in (struct.pack("<4I", 256, 256, 1, 0), struct.pack("<3I", 256, 256, 2)):
        raw = header + pixels
        assert decode_raw(raw).tobytes() == image.tobytes()
        assert decode_raw(raw[:-1]) is None
    assert decode_raw(struct.pack("<4I", 256, 256, 4, 0) + pixels) is None
    assert decode_raw(b"") is None
    assert decode_png(b"[Warning] Multiple displays were found\n" + png).tobytes() == image.tobytes()
    assert [decode_png(data) for data in (b"", png[: len(png) // 2], b"error: closed")] == [None] * 3
