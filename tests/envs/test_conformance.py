"""What any phone must do as a `Device`: one over adb, one in this process, and a real one named by
QWEN2VL_AGENT_SERIAL (`pytest -m device`), on which Settings is opened and nothing is changed."""

import os
from collections.abc import Iterator

import adbutils
import pytest
from phone_shell import SMALL
from PIL import Image

from qwen2vl_agent.envs.adb_server import connect, disconnect
from qwen2vl_agent.envs.android import PIN_VARIABLE, AndroidDevice
from qwen2vl_agent.envs.device import Device, PhoneDevice
from qwen2vl_agent.envs.settling import agree, is_black
from qwen2vl_agent.envs.virtual_phone.device import VirtualPhoneDevice
from qwen2vl_agent.envs.virtual_phone.phone import VirtualPhone
from qwen2vl_agent.envs.virtual_phone.server import start_virtual_phone
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
from qwen2vl_agent.schema.errors import ActionRejected
from qwen2vl_agent.schema.geometry import MODEL_FRAME, Point
from qwen2vl_agent.schema.tools import tool_name

SCRIPTS = {
    "Latin": "Crème brûlée, straße",
    "Greek": "Καλημέρα κόσμε",
    "Cyrillic": "Съешь ещё булок",
    "Arabic": "مرحبا بالعالم",
    "Hebrew": "שלום עולם",
    "Devanagari": "नमस्ते दुनिया",
    "Bengali": "ওহে বিশ্ব",
    "Tamil": "வணக்கம் உலகம்",
    "Thai": "สวัสดีชาวโลก",
    "Han": "你好，世界",
    "Japanese": "こんにちは カタカナ",
    "Hangul": "안녕하세요",
}
MIDDLE = Point(500, 500, MODEL_FRAME)
ACTIONS: list[Action] = [
    Tap(point=MIDDLE),
    DoubleTap(point=MIDDLE),
    LongPress(point=MIDDLE, duration_s=0.6),
    Swipe(start=Point(500, 700, MODEL_FRAME), end=Point(500, 300, MODEL_FRAME), duration_s=0.3),
    PressKey(name="back"),
    PressKey(name="home"),
    PressKey(name="app_switch"),
    OpenApp(name="Settings"),
    Wait(seconds=0.2),
]


@pytest.fixture(
    scope="module", params=["in process", "adb", "adb, by video", pytest.param("real", marks=pytest.mark.device)]
)
def device(request: pytest.FixtureRequest, adb_client: adbutils.AdbClient) -> Iterator[Device]:
    if request.param == "in process":
        yield VirtualPhoneDevice(VirtualPhone(random_state(3, Words.test()), SMALL))
        return
    if request.param == "real":
        real = AndroidDevice(os.environ["QWEN2VL_AGENT_SERIAL"])
        real.wake(os.environ.get(PIN_VARIABLE, ""))
        yield real
        real.close()
        return
    with start_virtual_phone(3, size=SMALL) as process:
        way = "stream" if "video" in request.param else "raw"
        over_adb = AndroidDevice(connect(adb_client, process.serial), client=adb_client, capture=way)
        yield over_adb
        over_adb.close()
        disconnect(process.serial)


def test_it_is_a_phone(device: Device) -> None:
    assert isinstance(device, PhoneDevice)


def test_a_screenshot_is_a_picture_of_the_frames_shape(device: Device) -> None:
    device.perform(PressKey(name="home"))
    image = device.screenshot()
    assert isinstance(image, Image.Image)
    assert image.mode == "RGB"
    assert not is_black(image)
    frame = device.frame
    assert frame.space == "device"
    assert abs(image.width / image.height - frame.width / frame.height) < 0.02


def test_two_looks_at_a_screen_that_stands_still_agree(device: Device) -> None:
    device.perform(OpenApp(name="Settings"))
    assert agree(device.screenshot(), device.screenshot())


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: tool_name(type(action)))
def test_every_action_tells_what_was_sent_in_device_pixels(device: Device, action: Action) -> None:
    done = device.perform(action)
    assert done["action"] == tool_name(type(action))
    for name, side in (("x", "width"), ("x1", "width"), ("y", "height"), ("y1", "height")):
        assert 0 <= done.get(name, 0) < getattr(device.frame, side)
    device.perform(PressKey(name="home"))


def test_elements_lie_on_the_screen_and_settings_opens(device: Device) -> None:
    device.perform(OpenApp(name="Settings"))
    elements = device.elements()
    assert len(elements) > 3
    for element in elements:
        left, top, right, bottom = element.bounds
        assert 0 <= left <= right <= device.frame.width
        assert 0 <= top <= bottom <= device.frame.height
    assert device.foreground()[0]


def test_what_cannot_be_done_is_rejected_and_changes_nothing(device: Device) -> None:
    device.perform(PressKey(name="home"))
    before = device.screenshot()
    with pytest.raises(ActionRejected):
        device.perform(OpenApp(name="No such app, surely"))
    assert agree(before, device.screenshot())


@pytest.mark.parametrize("script", SCRIPTS)
def test_text_in_every_script_arrives(device: Device, script: str) -> None:
    if not getattr(device, "virtual", False):
        pytest.skip("on a real phone nothing is typed: it might be sent")
    device.perform(OpenApp(name="Contacts"))
    device.perform(PressKey(name="search"))
    device.perform(TypeText(text=SCRIPTS[script], clear_first=True))
    field = next(element for element in device.elements() if element.focused)
    assert field.text == SCRIPTS[script]


def test_a_turned_phone_is_seen_and_touched_where_it_is(device: Device) -> None:
    if not (isinstance(device, AndroidDevice) and device.virtual):
        pytest.skip("a phone in this process cannot be turned, and a real one is not, unasked")
    device.perform(PressKey(name="home"))
    device._shell("wm user-rotation lock 3")
    try:
        for _ in range(100):
            image = device.screenshot()
            if image.width > image.height:
                break
            device._turned_at = 0.0
        assert image.size == SMALL[::-1]
        assert (device.frame.width, device.frame.height, device.frame.rotation) == (*SMALL[::-1], 3)
        target = next(element for element in device.elements() if element.clickable)
        done = device.perform(Tap(point=Point(*target.centre, device.frame)))
        assert (done["x"], done["y"]) == target.centre
    finally:
        device._shell("wm user-rotation free")
        device._turned_at = 0.0
        device.screenshot()
