"""Phones in every state, real ones of the adb server's own telling; phones that go and come back; eight at once."""

import concurrent.futures
import time

import adbutils
import pytest

from qwen2vl_agent.envs import adb_server
from qwen2vl_agent.envs.android import AndroidDevice
from qwen2vl_agent.envs.android_screen import parse_state
from qwen2vl_agent.envs.screen import ScreenConfig, ScreenEnv
from qwen2vl_agent.envs.settling import BLACK_TEXT, is_black
from qwen2vl_agent.envs.virtual_phone.faults import Faults, parse_faults
from qwen2vl_agent.envs.virtual_phone.server import start_virtual_phone
from qwen2vl_agent.schema.actions import OpenApp, PressKey, TypeText
from qwen2vl_agent.schema.errors import ActionVoid, DeviceLost

TINY = (270, 600)


@pytest.mark.parametrize(
    ("faults", "state", "said"),
    [
        (Faults(unauthorized=True), "unauthorized", "accept this computer's key"),
        (Faults(state="recovery"), "recovery", "reboot it into Android"),
        (Faults(state="sideload"), "sideload", "reboot it into Android"),
    ],
)
def test_a_phone_in_no_state_to_be_used_is_named_with_what_to_do(adb_client, faults, state, said) -> None:
    """The state is what the real adb server makes of what the phone says."""
    with start_virtual_phone(1, size=TINY, faults=faults) as process:
        adb_client.connect(process.serial, timeout=10)
        deadline = time.monotonic() + 30
        seen = ""
        while state not in seen and time.monotonic() < deadline:
            seen = next((item.state for item in adb_server.attached(adb_client) if item.serial == process.serial), "")
            time.sleep(0.05)
        with pytest.raises(DeviceLost, match=f"{process.serial} is {state}.*{said}"):
            AndroidDevice(process.serial, client=adb_client)
        adb_server.disconnect(process.serial)


def open_with(adb_client: adbutils.AdbClient, process, **options) -> AndroidDevice:
    return AndroidDevice(adb_server.connect(adb_client, process.serial), client=adb_client, **options)


def test_a_phone_that_comes_back_is_looked_at_again(adb_client: adbutils.AdbClient) -> None:
    with start_virtual_phone(1, size=TINY) as process:
        device = open_with(adb_client, process, patience_s=30)
        device._shell("cmd virtual-phone fault offline-after=2 offline-for=1s")
        images = [device.screenshot() for _ in range(4)]
        assert {image.size for image in images} == {TINY}
        assert device.connection.reconnections >= 1
        adb_server.disconnect(process.serial)


def test_an_action_that_a_phone_takes_with_it_is_void_and_not_done_twice(adb_client: adbutils.AdbClient) -> None:
    with start_virtual_phone(1, size=TINY) as process:
        device = open_with(adb_client, process, patience_s=30)
        device._shell("cmd virtual-phone fault offline-after=3 offline-for=500ms")
        device.foreground()
        outcomes = []
        for _ in range(8):
            try:
                device.perform(PressKey(name="volume_up"))
                outcomes.append("done")
            except ActionVoid as void:
                outcomes.append(str(void))
        assert any("went away" in outcome for outcome in outcomes)
        assert "done" in outcomes
        adb_server.disconnect(process.serial)


def test_a_phone_that_stays_away_is_lost(adb_client: adbutils.AdbClient) -> None:
    with start_virtual_phone(1, size=TINY) as process:
        device = open_with(adb_client, process, patience_s=1)
        device._shell("cmd virtual-phone fault offline-after=1")
        device.foreground()
        with pytest.raises(DeviceLost):
            device.screenshot()
        adb_server.disconnect(process.serial)


def test_a_phone_is_woken_and_opened_by_its_pin_alone(adb_client: adbutils.AdbClient) -> None:
    with start_virtual_phone(1, size=TINY, faults=parse_faults(["locked=2580", "screen-off"])) as process:
        device = open_with(adb_client, process)
        assert device.screen_state() == "off"
        with pytest.raises(DeviceLost, match="is locked: unlock it, or give its PIN in"):
            device.wake()
        assert device.screen_state() == "locked"
        with pytest.raises(DeviceLost, match="the PIN that was given does not open it") as caught:
            device.wake("1111")
        assert "1111" not in str(caught.value)
        device.wake("2580")
        assert device.screen_state() == "on"
        adb_server.disconnect(process.serial)


def test_a_protected_screen_is_named(adb_client: adbutils.AdbClient) -> None:
    with start_virtual_phone(1, size=TINY, faults=Faults(secure=True)) as process:
        device = open_with(adb_client, process)
        assert device.screen_state() == "secure"
        env = ScreenEnv(device, ScreenConfig(settle_limit_s=0.2))
        env.reset()
        assert "does not let its screen be captured" in env.observation.text
        device._shell("cmd virtual-phone fault black")
        env.reset()
        assert env.observation.text == BLACK_TEXT
        adb_server.disconnect(process.serial)


def test_what_real_phones_tell_of_their_screen_is_read() -> None:
    awake, asleep = "  mWakefulness=Awake\n", "  mWakefulness=Dozing\n"
    windows = (
        "  Window #4 Window{ab12 u0 StatusBar}:\n      fl=NOT_FOCUSABLE SECURE\n"
        "  Window #3 Window{cd34 u0 a.b/a.b.C}:\n      fl={} HARDWARE_ACCELERATED\n      pfl=FORCE_DRAW SECURE\n"
        "  mCurrentFocus=Window{cd34 u0 a.b/a.b.C}\n"
    )
    assert parse_state(asleep + windows) == "off"
    assert parse_state(awake + windows.replace("{}", "LAYOUT")) == "on"
    assert parse_state(awake + windows.replace("{}", "LAYOUT SECURE")) == "secure"
    assert parse_state(awake + "    showing=true\n" + windows) == "locked"
    assert parse_state("") == "on"


def test_a_folded_phone_is_captured_where_it_shows(adb_client: adbutils.AdbClient) -> None:
    with start_virtual_phone(1, size=TINY, faults=Faults(folded=True)) as process:
        for way in ("raw", "png"):
            device = open_with(adb_client, process, capture=way)
            assert not is_black(device.screenshot())
        adb_server.disconnect(process.serial)


def test_text_that_arrives_otherwise_is_void(adb_client: adbutils.AdbClient) -> None:
    with start_virtual_phone(1, size=TINY) as process:
        device = open_with(adb_client, process)
        device.perform(OpenApp(name="Contacts"))
        device.perform(PressKey(name="search"))
        assert device.perform(TypeText(text="hello"))["read_back"] == "hello"
        device._shell("cmd virtual-phone fault garble")
        with pytest.raises(ActionVoid, match="the field now holds 'hel"):
            device.perform(TypeText(text="hello", clear_first=True))
        adb_server.disconnect(process.serial)


def test_eight_phones_are_driven_at_once_without_cross_talk(adb_client: adbutils.AdbClient) -> None:
    processes = [start_virtual_phone(seed, size=TINY) for seed in range(8)]
    try:
        devices = [open_with(adb_client, process) for process in processes]

        def work(index: int) -> str:
            device = devices[index]
            device.perform(OpenApp(name="Contacts"))
            device.perform(PressKey(name="search"))
            for letter in f"phone {index}":
                device.perform(TypeText(text=letter))
                assert device.screenshot().size == TINY
            return next(element.text for element in device.elements() if element.focused)

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            assert list(pool.map(work, range(8))) == [f"phone {index}" for index in range(8)]
        assert len({device.phone_state().seed for device in devices}) == 8
    finally:
        for process in processes:
            process.close()
            adb_server.disconnect(process.serial)
