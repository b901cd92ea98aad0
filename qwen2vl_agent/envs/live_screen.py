"""A phone's screen as a live video: a thread decodes, the newest frame is always at hand."""

import collections
import select
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PIL import Image

from qwen2vl_agent.envs.h264 import BrokenStream, FrameDecoder, to_rgb
from qwen2vl_agent.schema.errors import DeviceLost

QUIET_S = 0.02
"""A frame is whole when nothing came for this long."""
RENEW_S = 170.0
"""A recording is begun anew after this long: `screenrecord` ends by itself after 180 s."""
FIRST_FRAME_S = 10.0
"""How long the first frame of a recording may take."""
FAILURES = 3
"""Recordings in a row that gave no frame, after which there is no stream."""
READ_SIZE = 1 << 18


@dataclass(slots=True)
class TimedFrame:
    """A decoded frame and when it arrived, by this machine's monotonic clock.

    Raw H.264 carries no times. What the phone took to draw, encode and send comes before the arrival and is not known
    here; `benchmarks/phone.py` measures it on the virtual phone.
    """

    frame: Any
    arrived: float
    number: int
    """Counts the frames of this screen, across recordings."""
    _image: Image.Image | None = None

    @property
    def image(self) -> Image.Image:
        """The picture in RGB; converted once."""
        if self._image is None:
            self._image = to_rgb(self.frame)
        return self._image


class LiveScreen:
    """The newest frame of a video stream, and the last ones before it.

    `opened` gives a socket of raw H.264 that begins with a key frame; it is called again whenever a recording ends,
    breaks, or is older than `renew_s`.
    """

    def __init__(
        self, opened: Callable[[], socket.socket], *, renew_s: float = RENEW_S, keep: int = 0, spacing_s: float = 0.1
    ) -> None:
        """Begin at once. `keep` frames at least `spacing_s` apart are remembered, at half the size."""
        self._open = opened
        self._renew_s = renew_s
        self._spacing_s = spacing_s
        self._change = threading.Condition()
        self._newest: TimedFrame | None = None
        self._kept: collections.deque[TimedFrame] = collections.deque(maxlen=keep)
        self._count = 0
        self._begun = time.monotonic()
        self._current = False
        """Whether the newest frame is from the recording that runs."""
        self._failure = ""
        self._stop = threading.Event()
        self._restart = threading.Event()
        self.restarts = 0
        self._thread = threading.Thread(target=self._run, name="live-screen", daemon=True)
        self._thread.start()

    def newest(self, *, timeout_s: float = FIRST_FRAME_S) -> TimedFrame:
        """The newest frame of the recording that runs, waiting for its first.

        Raises:
            DeviceLost: there is no stream.
        """
        return self.after(0, timeout_s=timeout_s)

    def after(self, number: int, *, timeout_s: float) -> TimedFrame:
        """The newest frame once there is one past `number`; when the time is up, the newest there is.

        Raises:
            DeviceLost: there is no stream.
        """
        deadline = time.monotonic() + timeout_s
        with self._change:
            while not self._failure:
                left = deadline - time.monotonic()
                if self._current and self._newest and (self._newest.number > number or left <= 0):
                    return self._newest
                if left <= 0:
                    raise DeviceLost(f"the phone's video gave no frame within {timeout_s:g} s")
                self._change.wait(left)
            raise DeviceLost(f"the phone's video cannot be had: {self._failure}")

    def recent(self, since: float) -> list[TimedFrame]:
        """The remembered frames that arrived after `since`, and the one before them: it was shown then."""
        with self._change:
            frames = list(self._kept)
        before = [frame for frame in frames if frame.arrived <= since]
        return before[-1:] + [frame for frame in frames if frame.arrived > since]

    def restart(self) -> None:
        """Begin a new recording, for example since the screen was turned; `newest` waits for its first frame."""
        with self._change:
            self._current = False
        self._restart.set()

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join(5.0)

    # The thread ------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        barren = 0
        while not self._stop.is_set() and barren < FAILURES:
            before, trouble = self._count, "it ended without a frame"
            try:
                with self._open() as connection:
                    self._record(connection)
            except (BrokenStream, DeviceLost, OSError) as error:
                trouble = str(error)
            self.restarts += 1
            barren = 0 if self._count > before else barren + 1
            if barren:
                self._stop.wait(0.1 * barren)
        with self._change:
            self._failure = "closed" if self._stop.is_set() else trouble
            self._change.notify_all()

    def _record(self, connection: socket.socket) -> None:
        """Decode one recording until it ends or is to be renewed."""
        self._restart.clear()
        decoder, begun, frames = FrameDecoder(), time.monotonic(), 0
        while not (self._stop.is_set() or self._restart.is_set()):
            age_s = time.monotonic() - begun
            if age_s > self._renew_s or (not frames and age_s > FIRST_FRAME_S):
                return
            ready, _, _ = select.select([connection], [], [], QUIET_S if decoder.pending else 0.1)
            if ready:
                data = connection.recv(READ_SIZE)
                if not data:
                    if decoder.pending:
                        self._publish(decoder.end_unit())
                    return
                found = decoder.feed(data)
            elif decoder.pending:
                found = decoder.end_unit()
            else:
                continue
            frames += len(found)
            self._publish(found)

    def _publish(self, frames: list[Any]) -> None:
        if not frames or self._restart.is_set():
            return
        now = time.monotonic()
        with self._change:
            self._count += len(frames)
            self._newest, self._current = TimedFrame(frames[-1], now, self._count), True
            if self._kept.maxlen and (not self._kept or now - self._kept[-1].arrived >= self._spacing_s):
                small = frames[-1].reformat(frames[-1].width // 4 * 2, frames[-1].height // 4 * 2)
                self._kept.append(TimedFrame(small, now, self._count))
            self._change.notify_all()
