"""Frames of a phone's video at a steady rate: dropped, repeated and late ones."""

import time

import adbutils
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen2vl_agent.envs import adb_server
from qwen2vl_agent.envs.android import AndroidDevice
from qwen2vl_agent.envs.clips import make_clip, sample
from qwen2vl_agent.envs.phone_video import PhoneVideo
from qwen2vl_agent.envs.settling import agree
from qwen2vl_agent.envs.virtual_phone.server import start_virtual_phone
from qwen2vl_agent.schema.actions import OpenApp


def test_each_tick_shows_the_last_frame_that_had_arrived() -> None:
    assert sample([0.0, 0.2, 0.3, 1.4], 0.0, 1.5) == [0, 2, 2, 3]
    assert sample([0.0, 0.3, 0.2, 1.4], 0.0, 1.5) == [0, 1, 1, 3]  # handed over late
    assert sample([5.0], 0.0, 1.0) == [0, 0, 0]  # nothing had arrived yet: the first is all there is


@given(st.lists(st.floats(0, 60), min_size=1, max_size=40), st.floats(0, 60), st.floats(0, 30), st.floats(0.5, 30))
@settings(max_examples=300, deadline=None)
def test_a_clip_goes_forward_in_time_with_a_frame_for_every_tick(times, start, length, fps) -> None:
    picked = sample(times, start, start + length, fps)
    shown = [times[index] for index in picked]
    assert shown == sorted(shown)
    assert abs(len(picked) - (length * fps + 1)) <= 1
    for tick, time_s in enumerate(shown):
        assert time_s <= start + tick / fps + 1e-6 or time_s == min(times)


def test_a_clip_without_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="0 frames at 2"):
        make_clip([], 0.0, 1.0)


def test_a_clip_of_a_phone_shows_the_screen_before_and_after_an_action(adb_client: adbutils.AdbClient) -> None:
    with start_virtual_phone(4, size=(270, 600)) as process:
        device = AndroidDevice(adb_server.connect(adb_client, process.serial), client=adb_client)
        video = PhoneVideo(device)
        before, begin = device.screenshot(), time.monotonic()
        device.perform(OpenApp(name="Settings"))
        deadline = time.monotonic() + 30
        while agree(before, device.screenshot()) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(1.0)
        now = time.monotonic()
        clip = make_clip(video.frames(begin), begin, now)
        after = device.screenshot()
        video.close()
        assert len(clip.frames) >= 3
        assert len(set(clip.taken_s)) < len(clip.taken_s)  # nothing moved at the end: shown again
        size = clip.frames[0].size
        assert agree(clip.frames[0], before.resize(size))
        assert agree(clip.frames[-1], after.resize(size))
        assert not agree(clip.frames[0], clip.frames[-1])
        device.close()
        adb_server.disconnect(process.serial)
