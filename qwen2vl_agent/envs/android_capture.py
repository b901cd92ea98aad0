"""Pictures of a phone's screen from what `screencap` writes."""

import io
import struct
import time

from PIL import Image

from qwen2vl_agent.envs.adb_link import AdbLink
from qwen2vl_agent.schema.errors import DeviceLost

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
RGBA_8888, RGBX_8888 = 1, 2
RAW_HEADERS = (16, 12)
"""Lengths of the raw header: with the data space since Android 9, without before. Source: AOSP's screencap.cpp."""
ATTEMPTS = 3


def decode_png(data: bytes) -> Image.Image | None:
    """The picture in RGB; None where the bytes hold no whole one. Warnings printed before it are skipped."""
    start = data.find(PNG_SIGNATURE)
    if start < 0:
        return None
    try:
        return Image.open(io.BytesIO(data[start:])).convert("RGB")
    except (OSError, SyntaxError, ValueError):
        return None


def decode_raw(data: bytes) -> Image.Image | None:
    """The picture in RGB; None where the bytes are not whole, or in a format other than eight bits a channel."""
    if len(data) < RAW_HEADERS[0]:
        return None
    width, height, pixel_format = struct.unpack_from("<3I", data)
    header = len(data) - width * height * 4
    if header not in RAW_HEADERS or pixel_format not in (RGBA_8888, RGBX_8888) or width * height == 0:
        return None
    return Image.frombytes("RGB", (width, height), data[header:], "raw", "RGBX")


class Capture:
    """Takes screenshots the faster way: PNG, or raw pixels where the phone's compression costs more than the cable."""

    def __init__(self, link: AdbLink, *, raw: bool | None = None) -> None:
        """`raw` where the faster way is known; else the first capture finds out."""
        self._link = link
        self._raw = raw

    def take(self) -> Image.Image:
        """The screen now, in RGB.

        Raises:
            DeviceLost: the phone gave no whole picture, several times over.
        """
        if self._raw is None:
            return self._compare()
        for attempt in range(ATTEMPTS):
            image = self._get(raw=self._raw != (attempt == ATTEMPTS - 1))  # the other way at last
            if image is not None:
                return image
        raise DeviceLost(
            f"phone {self._link.serial} gave no whole picture in {ATTEMPTS} attempts; try `adb exec-out screencap -p`"
        )

    def _compare(self) -> Image.Image:
        """The first capture: both ways are timed once."""
        seconds, images = {}, {}
        for raw in (True, False):
            begin = time.perf_counter()
            images[raw] = self._get(raw=raw)
            seconds[raw] = time.perf_counter() - begin
        self._raw = images[True] is not None and (images[False] is None or seconds[True] < seconds[False])
        return images[False] or images[True] or self.take()

    def _get(self, *, raw: bool) -> Image.Image | None:
        if raw:
            return decode_raw(self._link.exec_out("screencap"))
        return decode_png(self._link.exec_out("screencap -p"))
