"""Pictures of a phone's screen: four ways to get one, the best by measurement, another where it fails."""

import functools
import socket
import struct
import time
from collections.abc import Callable

from PIL import Image

from qwen2vl_agent.envs.adb_link import AdbLink
from qwen2vl_agent.envs.live_screen import LiveScreen, TimedFrame
from qwen2vl_agent.envs.scrcpy_server import find_server, open_scrcpy
from qwen2vl_agent.envs.settling import agree
from qwen2vl_agent.schema.errors import DeviceLost
from qwen2vl_agent.schema.observation import CaptureName
from qwen2vl_agent.trajectory.png import read_png

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
RGBA_8888, RGBX_8888 = 1, 2
RAW_HEADERS = (16, 12)
"""Lengths of the raw header: with the data space since Android 9, without before. Source: AOSP's screencap.cpp."""
LARGEST_SIDE = 16384
ATTEMPTS = 4
SLOW_S = 0.15
"""Screenshots that take longer make a video worth its cost to the phone's battery."""
FIRST_FRAME_S = 4.0
"""How long a video may take to show that it works, where the way is chosen by measurement."""
EFFECT_S = 0.5
"""How long after an action a video may stay silent before a screenshot tells whether it still runs."""
PAUSE_S, BURST_S = 0.1, 2.0
"""A pause that ends a burst of frames, and how long one may last before it is taken for a screen that moves."""
RECORD = "screenrecord --output-format=h264 --time-limit=180 --bit-rate=16000000 -"


def decode_png(data: bytes) -> Image.Image | None:
    """The picture in RGB; None where the bytes hold no whole one. Warnings printed before it are skipped."""
    start = data.find(PNG_SIGNATURE)
    if start < 0:
        return None
    try:
        return read_png(data[start:]).convert("RGB")
    except ValueError:
        return None


def decode_raw(data: bytes) -> Image.Image | None:
    """The picture in RGB; None where the bytes are not whole, or in a format other than eight bits a channel."""
    if len(data) < RAW_HEADERS[0]:
        return None
    width, height, pixel_format = struct.unpack_from("<3I", data)
    header = len(data) - width * height * 4
    sane = 0 < width <= LARGEST_SIDE and 0 < height <= LARGEST_SIDE
    if header not in RAW_HEADERS or pixel_format not in (RGBA_8888, RGBX_8888) or not sane:
        return None
    return Image.frombytes("RGB", (width, height), data[header:], "raw", "RGBX")


class Capture:
    """Takes screenshots the best way: a live video, raw pixels, or PNG.

    A video is lossy, and only screenshots are exact. `auto` times both kinds of screenshot, and takes a video where
    they are slow and it shows the same. What fails gives way to the next.
    """

    def __init__(self, link: AdbLink, way: CaptureName = "auto", *, display: str = "") -> None:
        """`display` is the physical display to capture, where the phone has several."""
        self._link = link
        self._wanted = way
        self.display = display
        self._raw: bool | None = {"raw": True, "png": False}.get(way)
        self._live: LiveScreen | None = None
        self._kept: LiveScreen | None = None
        self._acted = 0.0
        self._checked = True
        self.measured: dict[str, float] = {}
        """Seconds of each way that was timed."""
        if way in ("stream", "scrcpy"):
            self._start_video()

    @property
    def way(self) -> str:
        """What the next picture is taken with."""
        if self._live is not None:
            return "scrcpy" if self._wanted == "scrcpy" else "stream"
        return "undecided" if self._raw is None else "raw" if self._raw else "png"

    @property
    def live(self) -> LiveScreen | None:
        """The video, where that is the way."""
        return self._live

    def take(self) -> Image.Image:
        """The screen now, in RGB.

        Raises:
            DeviceLost: the phone gave no whole picture, several times over.
        """
        if self._live is not None:
            image = self._from_video(self._live)
            if image is not None:
                return image
        if self._raw is None:
            return self._compare()
        return self._screenshot()

    def acted(self) -> None:
        """The screen was touched: the next picture must not be older."""
        self._acted, self._checked = time.monotonic(), False

    def turned(self) -> None:
        """The screen was turned: a video keeps the sides that it began with."""
        for video in filter(None, (self._live, self._kept)):
            video.restart()

    def close(self) -> None:
        """End every video."""
        self._end_live()
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def _end_live(self) -> None:
        if self._live is not None:
            self._live.close()
            self._live = None

    # Video -----------------------------------------------------------------------------------------------------------

    def _start_video(self) -> None:
        self._live = LiveScreen(self._opener())

    def _opener(self) -> Callable[[], socket.socket]:
        """What begins a recording."""
        if self._wanted == "scrcpy":
            return functools.partial(open_scrcpy, self._link, find_server())
        return functools.partial(self._link.open_service, f"exec:{RECORD}")

    def keep_frames(self, keep: int, spacing_s: float = 0.1) -> LiveScreen:
        """A video that remembers its last frames; if pictures are taken from a video, it is that one from now on."""
        kept = LiveScreen(self._opener(), keep=keep, spacing_s=spacing_s)
        if self._live is None:
            self._kept = kept
        else:
            self._live.close()
            self._live = kept
        return kept

    def _from_video(self, live: LiveScreen) -> Image.Image | None:
        """The newest frame; a screenshot where the video is silent after an action that changed the screen."""
        try:
            newest = live.newest()
            if self._checked:
                return newest.image
            newest = self._last_of_burst(live, newest)
        except DeviceLost:
            self._end_live()
            return None
        self._checked = True
        if newest.arrived > self._acted:
            return newest.image
        truth = self._screenshot()
        if agree(truth, newest.image.resize(truth.size)):
            return newest.image
        live.restart()
        return truth

    def _last_of_burst(self, live: LiveScreen, newest: TimedFrame) -> TimedFrame:
        """The frame after which nothing came for a moment: the first one after an action may be from before it."""
        wait_s = max(self._acted + EFFECT_S - time.monotonic(), 0.0)
        while (following := live.after(newest.number, timeout_s=wait_s)).number > newest.number:
            newest = following
            if time.monotonic() > self._acted + BURST_S:
                break
            wait_s = PAUSE_S
        return newest

    # Screenshots -----------------------------------------------------------------------------------------------------

    def _screenshot(self) -> Image.Image:
        for attempt in range(ATTEMPTS):
            image = self._get(raw=bool(self._raw) != (attempt >= ATTEMPTS // 2))  # the other way at last
            if image is not None:
                return image
        raise DeviceLost(
            f"phone {self._link.serial} gave no whole picture in {ATTEMPTS} attempts; try `adb exec-out screencap -p`"
        )

    def _compare(self) -> Image.Image:
        """The first picture: every way is timed once."""
        images: dict[bool, Image.Image | None] = {}
        for raw in (True, False):
            begin = time.perf_counter()
            images[raw] = self._get(raw=raw)
            self.measured["raw" if raw else "png"] = time.perf_counter() - begin
        self._raw = images[True] is not None and (images[False] is None or self.measured["raw"] < self.measured["png"])
        image = images[False] or images[True] or self._screenshot()
        if self._wanted == "auto" and self.measured["raw" if self._raw else "png"] > SLOW_S:
            self._try_video(image)
        return image

    def _try_video(self, truth: Image.Image) -> None:
        """Take a video from now on, if its first frame shows what the screenshot does."""
        self._start_video()
        assert self._live is not None
        try:
            begin = time.perf_counter()
            shown = self._live.newest(timeout_s=FIRST_FRAME_S).image
            self.measured["stream, first frame"] = time.perf_counter() - begin
            if agree(truth, shown.resize(truth.size)):
                return
        except DeviceLost:
            pass
        self._end_live()

    def _get(self, *, raw: bool) -> Image.Image | None:
        command = f"screencap{'' if raw else ' -p'}{f' -d {self.display}' if self.display else ''}"
        data = self._link.exec_out(command)
        return decode_raw(data) if raw else decode_png(data)
