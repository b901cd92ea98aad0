"""Every fault with every action: a typed outcome, within the time, and nothing lost of the record.

The whole matrix is slow; a sample of it is in the quick tests.
"""

import random
import time
from collections.abc import Iterator
from pathlib import Path

import adbutils
import pytest

from qwen2vl_agent.agent.episode import drive_plainly, run_episode
from qwen2vl_agent.agent.policy import Context
from qwen2vl_agent.agent.scripted import say
from qwen2vl_agent.agent.settings import AgentConfig, EpisodePlan
from qwen2vl_agent.envs.adb_server import connect, disconnect
from qwen2vl_agent.envs.android import AndroidDevice
from qwen2vl_agent.envs.screen import ScreenConfig, ScreenEnv
from qwen2vl_agent.envs.virtual_phone.server import start_virtual_phone
from qwen2vl_agent.schema.actions import (
    Action,
    Done,
    DoubleTap,
    LongPress,
    OpenApp,
    PressKey,
    Swipe,
    Tap,
    TypeText,
    Wait,
)
from qwen2vl_agent.schema.errors import ActionRejected, ActionVoid, DeviceLost
from qwen2vl_agent.schema.geometry import MODEL_FRAME, Point
from qwen2vl_agent.schema.tools import tool_name
from qwen2vl_agent.schema.trajectory import Reply
from qwen2vl_agent.trajectory.store import read_episode

MIDDLE = Point(500, 500, MODEL_FRAME)
ACTIONS: dict[str, Action] = {
    "tap": Tap(point=MIDDLE),
    "double_tap": DoubleTap(point=MIDDLE),
    "long_press": LongPress(point=MIDDLE, duration_s=0.5),
    "swipe": Swipe(start=Point(500, 800, MODEL_FRAME), end=Point(500, 300, MODEL_FRAME), duration_s=0.2),
    "type_text": TypeText(text="plain 5%s"),
    "type_text, any script": TypeText(text="Zoë 日本", clear_first=True),
    "press_key": PressKey(name="search"),
    "open_app": OpenApp(name="Contacts"),
    "wait": Wait(seconds=0.1),
}
FAULTS: dict[str, tuple[str, ...]] = {
    "none": (),
    "slow-screencap": ("slow-screencap=300ms",),
    "slow-shell": ("slow-shell=200ms",),
    "hang": ("hang-after=3",),
    "offline": ("offline-after=3",),
    "offline, and back": ("offline-after=3", "offline-for=500ms"),
    "black": ("black",),
    "secure": ("secure",),
    "screen-off": ("screen-off",),
    "locked": ("locked=1234",),
    "truncate": ("truncate",),
    "corrupt": ("corrupt=0.5",),
    "drop-input": ("drop-input=0.5",),
    "garble": ("garble",),
    "rotate-randomly": ("rotate-randomly=0.5",),
    "rotation": ("rotation=1",),
    "folded": ("folded",),
    "no-screenrecord": ("no-screenrecord",),
    "stall-stream": ("stall-stream=200ms",),
    "cut-stream": ("cut-stream=300ms",),
    "no-adb-keyboard": ("no-adb-keyboard",),
    "old-input": ("old-input",),
}
LIMIT_S = 120.0
"""Far over what any case takes, and far under a hang."""
TYPED = (ActionRejected, ActionVoid, DeviceLost)


@pytest.fixture(scope="module")
def serials(adb_client: adbutils.AdbClient) -> Iterator[dict[str, str]]:
    """A phone for each fault that it takes to the grave, started when asked for."""
    started: dict[str, object] = {}
    serials: dict[str, str] = {}

    class Phones(dict):
        def __missing__(self, key: str) -> str:
            process = start_virtual_phone(5, size=(270, 600))
            started[key] = process
            serials[key] = self[key] = connect(adb_client, process.serial)
            return self[key]

    yield Phones()
    for key, process in started.items():
        process.close()  # type: ignore[attr-defined]
        disconnect(serials[key])


def device_with(serials, fault: str, client: adbutils.AdbClient, key: str) -> AndroidDevice:
    """A phone in its first state, with a text field in focus, that has the fault from now on."""
    way = "stream" if "stream" in fault or "screenrecord" in fault else "raw"
    device = AndroidDevice(serials[key], client=client, capture="raw", patience_s=3.0, timeout_s=2.0)
    device._shell("cmd virtual-phone fault; cmd virtual-phone reset 5; wm user-rotation free; ime reset")
    device.perform(OpenApp(name="Contacts"))
    device.perform(PressKey(name="search"))
    if FAULTS[fault]:
        assert device._shell("cmd virtual-phone fault " + " ".join(FAULTS[fault])).status == 0
    device.close()
    return AndroidDevice(serials[key], client=client, capture=way, patience_s=3.0, timeout_s=2.0)


def outcome(device: AndroidDevice, action: Action) -> str:
    """Do it and look; what came of both, by type."""
    told = []
    for call in (lambda: device.perform(action), device.screenshot, device.elements):
        try:
            call()
            told.append("done")
        except TYPED as error:
            told.append(type(error).__name__ if str(error) else "without a word")
    return ", ".join(told)


PAIRS = [(fault, action) for fault in FAULTS for action in ACTIONS]
SAMPLE = random.Random(1).sample([pair for pair in PAIRS if pair[0] not in ("hang", "offline")], 10)


def check(serials, fault: str, action: str, client: adbutils.AdbClient) -> None:
    key = f"{fault} {action}" if fault in ("hang", "offline") else "shared"
    begin = time.monotonic()
    try:
        device = device_with(serials, fault, client, key)
    except DeviceLost:  # too far gone to be opened; which is told by type, too
        return
    try:
        told = outcome(device, ACTIONS[action])
        assert time.monotonic() - begin < LIMIT_S, told
        assert "without a word" not in told
        if fault in ("none", "old-input", "slow-shell"):
            assert told == "done, done, done"
        if fault == "truncate":
            assert told.split(", ")[1] == "DeviceLost"
        if fault == "no-adb-keyboard" and "any script" in action:
            assert told.startswith("ActionRejected")
        if fault == "garble" and "type" in action:
            assert told.startswith("ActionVoid")
    finally:
        device.close()


@pytest.mark.parametrize(("fault", "action"), SAMPLE)
def test_a_sample_of_faults_and_actions_ends_in_a_typed_outcome(serials, adb_client, fault: str, action: str) -> None:
    check(serials, fault, action, adb_client)


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "action"), PAIRS)
def test_every_fault_and_every_action_ends_in_a_typed_outcome(serials, adb_client, fault: str, action: str) -> None:
    check(serials, fault, action, adb_client)


class Reciting:
    """A policy that does every action once, and then says that it is done."""

    name = "reciting"

    def begin(self, seed: int | None) -> None:
        self._left = [*ACTIONS.values(), Done()]

    def reply(self, context: Context) -> Reply:
        return say("", self._left.pop(0), context)


@pytest.mark.parametrize(
    "fault",
    ["offline, and back", "garble", "no-adb-keyboard"]
    + [pytest.param(fault, marks=pytest.mark.slow) for fault in sorted(FAULTS)],
)
def test_no_step_is_lost_of_an_episode_with_a_fault(serials, adb_client, tmp_path: Path, fault: str) -> None:
    """All steps are there, refused and void ones too; or the record ends where the phone was lost, and says so."""
    key = f"{fault} episode" if fault in ("hang", "offline") else "shared"
    try:
        device = device_with(serials, fault, adb_client, key)
    except DeviceLost:
        return
    env = ScreenEnv(device, ScreenConfig(task="everything", settle_limit_s=0.3))
    config = AgentConfig(hint_after=50, stop_after=50)
    lost = ""
    try:
        run_episode(env, Reciting(), EpisodePlan(out=tmp_path / "episode"), config, drive=drive_plainly)
    except DeviceLost as loss:
        lost = str(loss)
    finally:
        device.close()
    if lost and not (tmp_path / "episode").exists():
        return  # lost before the first look
    record = read_episode(tmp_path / "episode")
    assert (record.header.message, record.header.outcome == "error") == (lost, True) or not lost
    if record.header.outcome != "error":
        assert [step.call.name for step in record.steps if step.call] == [
            *(tool_name(type(action)) for action in ACTIONS.values()),
            "done",
        ]
    for step in record.steps[:-1]:
        assert (step.performed is None) == bool(step.error), step
