"""What a virtual phone can be told to have wrong with it, seen from its own shell."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phone_shell import PhoneShell
from PIL import Image, ImageChops

from qwen2vl_agent.envs.virtual_phone.commands_dumpsys import DISPLAY_ID
from qwen2vl_agent.envs.virtual_phone.faults import SWITCHES, Faults, format_faults, parse_faults
from qwen2vl_agent.envs.virtual_phone.turning import Turning
from qwen2vl_agent.schema.errors import ConfigError

VALUES = {"locked": "123", "state": "recovery", "rotation": "1"}


def screen(shell: PhoneShell, options: str = "") -> Image.Image:
    return Image.open(io.BytesIO(shell.run(f"screencap -p {options}").data)).convert("RGB")


def test_every_fault_goes_through_its_command_line_form() -> None:
    for name, switch in SWITCHES.items():
        faults = parse_faults([f"{name}={VALUES.get(name, '1')}"])
        assert faults != Faults(), name
        assert parse_faults(format_faults(faults)) == faults
        if switch.plain is not None:
            assert parse_faults([name]) != Faults(), name
    assert parse_faults(["slow-screencap=2s", "slow-shell=500ms"]) == Faults(slow_screencap_s=2, slow_shell_s=0.5)


def test_a_share_over_one_is_refused() -> None:
    with pytest.raises(ConfigError, match="corrupt is a share"):
        parse_faults(["corrupt=2"])


def test_faults_can_be_switched_while_the_phone_runs() -> None:
    shell = PhoneShell()
    assert shell.run("cmd virtual-phone fault black").status == 0
    assert screen(shell).getbbox() is None
    assert shell.run("cmd virtual-phone fault").status == 0
    assert screen(shell).getbbox() is not None
    assert "unknown fault" in shell.run("cmd virtual-phone fault melt").err


def test_a_turned_screen_swaps_its_sides_and_a_touch_still_hits() -> None:
    shell, upright = PhoneShell(), PhoneShell()
    for each in (shell, upright):
        each.run("am start -a android.settings.SETTINGS")
    shell.run("settings put system accelerometer_rotation 0; settings put system user_rotation 1")
    assert screen(shell).size == (800, 360)
    assert "orientation=1," in shell.run("dumpsys display").out
    assert shell.run("wm size").out == "Physical size: 360x800\n"
    row = next(element for element in shell.system.elements() if element.role == "row")
    shell.run("input tap {} {}".format(*row.centre))
    same = next(element for element in upright.system.elements() if element.resource_id == row.resource_id)
    upright.run("input tap {} {}".format(*same.centre))
    assert shell.phone.state.page == upright.phone.state.page
    assert shell.phone.state.page.name != "main"
    shell.run("wm user-rotation lock 0")
    assert screen(shell).size == (360, 800)


@given(
    st.tuples(st.integers(90, 2400), st.integers(90, 2400)), st.integers(0, 3), st.floats(0, 0.999), st.floats(0, 0.999)
)
@settings(max_examples=300, deadline=None)
def test_places_go_outward_and_back_within_a_pixel_of_the_screen(size, rotation, x, y) -> None:
    turning = Turning(size, rotation)
    there = turning.outward(x * size[0], y * size[1])
    back = turning.inward(*there)
    pixel = max(1.0, size[0] / min(turning.size), size[1] / min(turning.size), max(size) / min(turning.size))
    assert abs(back[0] - x * size[0]) <= pixel + 1
    assert abs(back[1] - y * size[1]) <= pixel + 1


def test_a_locked_phone_opens_to_its_pin_alone() -> None:
    shell = PhoneShell(faults=Faults(locked="2468"))
    assert "showing=true" in shell.run("dumpsys window").out
    before = screen(shell)
    shell.run("input tap 180 400; input text 2468")
    shell.run("input keyevent ENTER")
    assert "showing=false" in shell.run("dumpsys window").out
    assert ImageChops.difference(before, screen(shell)).getbbox() is not None
    shell.run("input keyevent POWER; input keyevent WAKEUP; input swipe 180 700 180 200 200")
    for digit in "1357↵":
        key = next(element for element in shell.system.elements() if element.text == digit)
        shell.run("input tap {} {}".format(*key.centre))
    assert "showing=true" in shell.run("dumpsys window").out
    for digit in "2468↵":
        key = next(element for element in shell.system.elements() if element.text == digit)
        shell.run("input tap {} {}".format(*key.centre))
    assert "showing=false" in shell.run("dumpsys window").out


def test_a_lock_without_a_pin_opens_to_a_swipe() -> None:
    shell = PhoneShell(faults=parse_faults(["locked", "screen-off"]))
    assert screen(shell).getbbox() is None
    shell.run("input keyevent WAKEUP")
    assert "showing=true" in shell.run("dumpsys window").out
    shell.run("input swipe 180 700 180 200 200")
    assert "showing=false" in shell.run("dumpsys window").out


def test_a_folded_phone_shows_its_screen_on_the_display_that_is_on() -> None:
    shell = PhoneShell(faults=Faults(folded=True))
    result = shell.run("screencap -p")
    assert result.err.startswith("[Warning] Multiple displays were found")
    assert Image.open(io.BytesIO(result.data)).convert("RGB").getbbox() is None
    assert screen(shell, f"-d {DISPLAY_ID}").getbbox() is not None
    assert len(shell.run("dumpsys SurfaceFlinger --display-id").out.splitlines()) == 2


def test_inputs_are_lost_in_shares_and_texts_lose_letters() -> None:
    shell = PhoneShell(faults=Faults(drop_input=0.3))
    lost = sum(shell.system.faults.input_is_lost() for _ in range(2000))
    assert 500 < lost < 700
    assert len(PhoneShell(faults=Faults(garble=1)).system.faults.garbled("twelve")) == 5


def test_what_is_not_installed_is_not_listed() -> None:
    shell = PhoneShell(faults=parse_faults(["no-adb-keyboard", "old-input", "no-screenrecord"]))
    assert "adbkeyboard" not in shell.run("ime list -s -a; pm list packages -3").out
    assert shell.run("input keycombination 113 29").status == 255
    assert shell.run("screenrecord --output-format=h264 -").status == 1
