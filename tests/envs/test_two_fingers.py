"""Two fingers: the events that a real panel is told, and a virtual phone that zooms by them over adb."""

import math
from collections.abc import Iterator

import adbutils
import pytest
from phone_shell import SMALL

from qwen2vl_agent.commands.devices import Wish
from qwen2vl_agent.commands.phones import phone_at_hand
from qwen2vl_agent.envs import adb_server
from qwen2vl_agent.envs.android import AndroidDevice
from qwen2vl_agent.envs.android_touch import ABS, SLOT, TRACKING, TouchPanel, X, Y, parse_panel, pinch, upright
from qwen2vl_agent.envs.register import make_env
from qwen2vl_agent.envs.virtual_phone.full.maps import zoom_of
from qwen2vl_agent.envs.virtual_phone.server import start_virtual_phone
from qwen2vl_agent.envs.virtual_phone.touch_panel import TouchPanel as VirtualPanel
from qwen2vl_agent.schema.actions import OpenApp, Zoom
from qwen2vl_agent.schema.errors import ActionRejected
from qwen2vl_agent.schema.geometry import Frame, Point
from qwen2vl_agent.schema.tools import ToolCall

LISTING = """add device 1: /dev/input/event5
  name:     "pmic_resin"
  events:
    KEY (0001): KEY_VOLUMEDOWN
  input props:
    <none>
add device 2: /dev/input/event3
  name:     "stylus"
  events:
    ABS (0003): ABS_X                 : value 0, min 0, max 20000, fuzz 0, flat 0, resolution 0
  input props:
    INPUT_PROP_DIRECT
add device 3: /dev/input/event2
  name:     "fts_ts"
  events:
    KEY (0001): KEY_F1                BTN_TOOL_FINGER       BTN_TOUCH
    ABS (0003): ABS_MT_SLOT           : value 0, min 0, max 9, fuzz 0, flat 0, resolution 0
                ABS_MT_TOUCH_MAJOR    : value 0, min 0, max 255, fuzz 0, flat 0, resolution 0
                ABS_MT_POSITION_X     : value 0, min 0, max 10799, fuzz 0, flat 0, resolution 0
                ABS_MT_POSITION_Y     : value 0, min 0, max 23999, fuzz 0, flat 0, resolution 0
                ABS_MT_TRACKING_ID    : value 0, min 0, max 65535, fuzz 0, flat 0, resolution 0
  input props:
    INPUT_PROP_DIRECT
"""
FRAME = Frame("device", 1080, 2400)


def paths(lines: list[str]) -> dict[int, list[tuple[int, int]]]:
    """Where each finger was at each report, from the events alone."""
    slot, at, shown = 0, {}, {}
    for line in lines:
        kind, code, value = map(int, line.split()[2:])
        if (kind, code) == (ABS, SLOT):
            slot = value
        elif (kind, code) == (ABS, TRACKING):
            at[slot] = None if value < 0 else {}
        elif kind == ABS and code in (X, Y):
            at[slot][code] = value
        elif (kind, code) == (0, 0):
            for number, place in at.items():
                if place:
                    shown.setdefault(number, []).append((place[X], place[Y]))
    assert list(at.values()) == [None, None], "both are lifted in the end"
    return shown


def test_the_panel_is_the_one_that_tells_fingers_apart():
    panel = parse_panel(LISTING)
    assert panel == TouchPanel("/dev/input/event2", (0, 10799), (0, 23999), None, 255)
    assert parse_panel(LISTING[: LISTING.index("add device 3")]) is None
    assert parse_panel("getevent: not found") is None
    assert parse_panel(VirtualPanel((1080, 2400)).listing()) == TouchPanel(
        "/dev/input/event1", (0, 1079), (0, 2399), 255, 255
    )


@pytest.mark.parametrize("factor", [0.25, 0.5, 1.5, 4.0])
@pytest.mark.parametrize("place", [(540, 1200), (300, 2200), (900, 200)])
def test_fingers_end_as_many_times_as_far_apart(factor, place):
    panel = parse_panel(LISTING)
    one, other = paths(pinch(panel, FRAME, *place, factor)).values()
    apart = [math.dist(a, b) for a, b in zip(one, other, strict=True)]
    assert apart[-1] / apart[0] == pytest.approx(factor, rel=0.02)
    assert sorted(apart, reverse=factor < 1) == apart
    for a, b in zip(one, other, strict=True):
        middle = (a[0] + b[0]) / 2 / 10799 * 1079, (a[1] + b[1]) / 2 / 23999 * 2399
        assert middle == pytest.approx(place, abs=1)
        assert all(0 <= x <= 10799 and 0 <= y <= 23999 for x, y in (a, b))


def test_the_events_are_those_of_the_kernels_header():
    """Written out, since the virtual phone takes its numbers from the same place as the sender."""
    lines = pinch(parse_panel(VirtualPanel((1080, 2400)).listing()), FRAME, 540, 1200, 2.0)
    begin = ["3 47 0", "3 57 901", "3 53 540", "3 54 984", "3 58 63", "3 48 63", "3 47 1", "3 57 902", "3 53 540"]
    assert [line.removeprefix("sendevent /dev/input/event1 ") for line in lines[:9]] == begin
    assert [line.split(maxsplit=2)[2] for line in lines[12:14]] == ["1 330 1", "0 0 0"]
    end = ["3 47 0", "3 57 -1", "3 47 1", "3 57 -1", "1 330 0", "0 0 0"]
    assert [line.split(maxsplit=2)[2] for line in lines[-6:]] == end


def test_without_room_it_is_refused():
    with pytest.raises(ValueError, match="no room"):
        pinch(parse_panel(LISTING), FRAME, 20, 30, 2)


def test_a_turned_screens_corners_are_the_panels():
    assert [upright(0, 0, turns) for turns in range(4)] == [(0, 0), (1, 0), (1, 1), (0, 1)]


def test_a_town_grows_under_two_fingers_and_stays_in_the_middle():
    env = make_env(edition="full", size=(540, 1200))
    env.reset(seed=3, options={"task": "full.maps.save"})
    phone = env.device.phone
    phone.launch("maps")
    before, town = phone.image(), next(e for e in phone.elements() if e.resource_id.endswith("maps:town"))
    x, y = town.centre
    env.device.perform(Zoom(point=Point(x, y, env.device.frame), factor=2.0))
    assert zoom_of(phone.state) == 2.0
    assert phone.image() != before
    phone.pinch(x, y, 4.0)
    assert zoom_of(phone.state) == 3.0
    phone.pinch(x, y, 1 / 3)
    assert phone.image().tobytes() == before.tobytes()
    env.close()


@pytest.fixture(scope="module")
def full_phone(adb_client: adbutils.AdbClient) -> Iterator[AndroidDevice]:
    """A phone of the full edition, with its map in front."""
    with start_virtual_phone(5, size=SMALL, edition="full") as process:
        adb_server.connect(adb_client, process.serial)
        device = AndroidDevice(process.serial, client=adb_client)
        device.perform(OpenApp(name="Maps"))
        yield device
        device.close()


def towards(device: AndroidDevice, factor: float) -> dict:
    town = next(element for element in device.elements() if element.resource_id.endswith("maps:town"))
    return device.perform(Zoom(point=Point(*town.centre, device.frame), factor=factor))


@pytest.mark.parametrize("turns", range(4))
def test_a_phone_over_adb_is_zoomed_however_it_is_held(full_phone, turns):
    full_phone._shell(f"wm user-rotation lock {turns}")
    full_phone.screenshot()
    performed = towards(full_phone, 2.0)
    assert zoom_of(full_phone.phone_state()) == pytest.approx(2.0, rel=0.05)
    assert len(performed["sent"]) <= 2
    towards(full_phone, 0.5)
    assert zoom_of(full_phone.phone_state()) == pytest.approx(1.0, rel=0.1)
    full_phone._shell("wm user-rotation free")
    full_phone.screenshot()


def test_a_phone_that_seals_its_panel_says_so(full_phone):
    full_phone._shell("cmd virtual-phone fault sealed-panel")
    with pytest.raises(ActionRejected, match="Permission denied"):
        towards(full_phone, 2.0)
    full_phone._shell("cmd virtual-phone fault")
    with pytest.raises(ActionRejected, match="no room"):
        full_phone.perform(Zoom(point=Point(2, 2, full_phone.frame), factor=2.0))


def test_one_finger_on_the_panel_taps_and_swipes(full_phone):
    path = parse_panel(full_phone._shell("getevent -lp").text).path
    full_phone._shell("input keyevent HOME")
    icon = next(element for element in full_phone.elements() if element.text == "Settings")
    x, y = icon.centre
    events = [(3, SLOT, 0), (3, TRACKING, 5), (3, X, x), (3, Y, y), (0, 0, 0), (3, TRACKING, -1), (0, 0, 0)]
    full_phone._shell("; ".join(f"sendevent {path} {kind} {code} {value}" for kind, code, value in events))
    assert "settings" in full_phone.foreground()[0]
    for wrong, why in ((f"{path} 3 x 1", "usage"), ("/dev/input/event9 3 0 0", "No such file"), (path, "usage")):
        result = full_phone._shell(f"sendevent {wrong}")
        assert result.status
        assert why in result.complaint


def test_zoom_is_offered_where_asked_for(adb_client, full_phone):
    wish = Wish(serial=full_phone.serial, options={"more_actions": ("zoom",), "capture": "png"})
    with phone_at_hand(wish) as at_hand:
        at_hand.env.reset(seed=1, options={"task": "text"})
        assert [tool.name for tool in at_hand.env.legal_tools][-1] == "zoom"
        *_, info = at_hand.env.step(ToolCall("zoom", {"point": [500, 500], "factor": 9}))
        assert "factor" in info["action_error"]
