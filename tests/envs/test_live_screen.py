"""A phone's screen as a video: whole frames, new after an action, from one recording to the next."""

import socket
import threading
import time
from collections.abc import Iterator

import adbutils
import pytest
from phone_shell import SMALL
from PIL import Image

from qwen2vl_agent.envs import adb_server
from qwen2vl_agent.envs.adb_link import AdbLink
from qwen2vl_agent.envs.android import AndroidDevice
from qwen2vl_agent.envs.android_capture import Capture
from qwen2vl_agent.envs.h264 import BrokenStream, FrameDecoder, to_rgb
from qwen2vl_agent.envs.live_screen import LiveScreen
from qwen2vl_agent.envs.scrcpy_server import find_server, server_command
from qwen2vl_agent.envs.settling import agree
from qwen2vl_agent.envs.virtual_phone.commands_screen import _encoder
from qwen2vl_agent.envs.virtual_phone.server import PhoneProcess, start_virtual_phone
from qwen2vl_agent.schema.actions import OpenApp, PressKey
from qwen2vl_agent.schema.errors import ConfigError, DeviceLost

COLOURS = ((200, 30, 30), (30, 200, 30), (30, 30, 200), (120, 120, 120))


def encoded() -> list[bytes]:
    """A video of four plain colours, a frame each."""
    import av

    encoder = _encoder(320, 640, 1_000_000)
    units = []
    for index, colour in enumerate(COLOURS):
        frame = av.VideoFrame.from_image(Image.new("RGB", (320, 640), colour))
        frame.pts = index * 100
        units.append(b"".join(bytes(packet) for packet in encoder.encode(frame)))
    return units


def test_each_frame_is_there_once_its_bytes_and_a_pause_came() -> None:
    decoder, seen = FrameDecoder(), []
    for unit in encoded():
        assert decoder.feed(unit[:200]) == []
        decoder.feed(unit[200:])
        seen += [to_rgb(frame).getpixel((100, 100)) for frame in decoder.end_unit()]
    assert [
        all(abs(a - b) < 12 for a, b in zip(got, want, strict=True)) for got, want in zip(seen, COLOURS, strict=True)
    ]
    assert len(seen) == len(COLOURS)


def test_a_frame_that_was_ended_too_early_is_noticed() -> None:
    first, second, *_ = encoded()
    decoder = FrameDecoder()
    decoder.feed(first)
    assert len(decoder.end_unit()) == 1
    half = len(second) // 2

    def go_on() -> None:
        decoder.feed(second[:half])
        decoder.end_unit()
        decoder.feed(second[half:])

    with pytest.raises(BrokenStream):
        go_on()


def test_a_stream_that_is_no_video_gives_up_in_words() -> None:
    def opened() -> socket.socket:
        here, there = socket.socketpair()
        threading.Thread(target=lambda: (there.sendall(b"ERROR: no encoder\n"), there.close())).start()
        return here

    live = LiveScreen(opened)
    with pytest.raises(DeviceLost, match="the phone's video cannot be had"):
        live.newest()
    live.close()


@pytest.fixture(scope="module")
def own(adb_client: adbutils.AdbClient) -> Iterator[PhoneProcess]:
    with start_virtual_phone(5, size=SMALL) as process:
        adb_server.connect(adb_client, process.serial)
        yield process
        adb_server.disconnect(process.serial)


@pytest.fixture
def device(own: PhoneProcess, adb_client: adbutils.AdbClient) -> Iterator[AndroidDevice]:
    device = AndroidDevice(own.serial, client=adb_client, capture="stream")
    device._shell("cmd virtual-phone reset 5; cmd virtual-phone fault; wm user-rotation free")
    yield device
    device.close()


def exact(device: AndroidDevice) -> Image.Image:
    return Capture(device._link, "png").take()


def wait_until(holds) -> bool:
    deadline = time.monotonic() + 30
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_the_video_shows_what_a_screenshot_does_after_every_action(device: AndroidDevice) -> None:
    device.screenshot()
    for action in (OpenApp(name="Settings"), PressKey(name="home"), OpenApp(name="Notes"), PressKey(name="back")):
        device.perform(action)
        assert wait_until(lambda: agree(device.screenshot(), exact(device))), action
    assert device.capture.way == "stream"


def test_a_turned_screen_is_followed(device: AndroidDevice) -> None:
    assert device.screenshot().size == SMALL
    device._shell("wm user-rotation lock 1")
    assert wait_until(lambda: device.screenshot().size == SMALL[::-1])
    assert (device.frame.width, device.frame.height, device.frame.rotation) == (*SMALL[::-1], 1)
    assert agree(device.screenshot(), exact(device))


def test_a_recording_is_renewed_without_a_gap_in_what_is_seen(device: AndroidDevice) -> None:
    live = LiveScreen(lambda: device._link.open_service("exec:screenrecord --output-format=h264 -"), renew_s=0.5)
    assert wait_until(lambda: live.restarts >= 2)
    device.perform(OpenApp(name="Settings"))
    assert wait_until(lambda: agree(live.newest().image, exact(device)))
    live.close()
    with pytest.raises(DeviceLost, match="closed"):
        live.newest()


def test_a_video_that_stalls_is_noticed_after_the_next_action(device: AndroidDevice) -> None:
    device._shell("cmd virtual-phone fault stall-stream=0.2")
    device.screenshot()
    time.sleep(0.5)
    device.perform(OpenApp(name="Settings"))
    assert agree(device.screenshot(), exact(device))


def test_a_phone_that_records_nothing_is_looked_at_by_screenshots(device: AndroidDevice) -> None:
    device._shell("cmd virtual-phone fault no-screenrecord")
    device._capture = Capture(device._link, "stream")
    assert device.screenshot().tobytes() == exact(device).tobytes()
    assert device.capture.way in ("raw", "png")


def test_slow_screenshots_make_a_video_the_way(device: AndroidDevice) -> None:
    device._shell("cmd virtual-phone fault slow-screencap=300ms")
    device._capture.close()
    device._capture = Capture(device._link, "auto")
    device.screenshot()
    assert device.capture.way == "stream"
    assert {"raw", "png", "stream, first frame"} == set(device.capture.measured)


def test_the_last_frames_are_remembered_with_their_times(device: AndroidDevice) -> None:
    live = device.capture.keep_frames(20, spacing_s=0.0)
    live.newest()
    begin = time.monotonic()
    device.perform(OpenApp(name="Settings"))
    assert wait_until(lambda: live.newest().arrived > begin)
    frames = live.recent(begin)
    assert frames[0].arrived <= begin < frames[-1].arrived
    assert frames[-1].image.size == (SMALL[0] // 4 * 2, SMALL[1] // 4 * 2)


def test_scrcpys_server_is_named_or_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("SCRCPY_SERVER_PATH", str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="SCRCPY_SERVER_PATH"):
        find_server()
    (tmp_path / "server").write_bytes(b"jar")
    monkeypatch.setenv("SCRCPY_SERVER_PATH", str(tmp_path / "server"))
    monkeypatch.setenv("SCRCPY_VERSION", "3.3.4")
    assert find_server().version == "3.3.4"
    assert "Server 3.3.4 scid=0000002a tunnel_forward=true" in server_command("3.3.4", 42)


def test_a_link_tells_when_nothing_was_sent(adb_client: adbutils.AdbClient) -> None:
    from qwen2vl_agent.envs.adb_link import NotSent

    with pytest.raises(NotSent):
        AdbLink(adb_client, "no-such-phone").open_service("exec:true")
