"""Small films whose every frame tells its number, and ways to damage them."""

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

BITS = 10


def numbered(number: int, width: int = 160, height: int = 96, noise: bool = False) -> Image.Image:
    """A frame with its number in binary along the top: black and white squares that no codec loses."""
    rng = np.random.default_rng(number if noise else 0)
    pixels = rng.integers(60, 190, (height, width, 3), dtype=np.uint8)
    side = width // BITS
    for bit in range(BITS):
        pixels[:side, bit * side : (bit + 1) * side] = 255 if number >> bit & 1 else 0
    return Image.fromarray(pixels)


def number_of(frame: np.ndarray) -> int:
    """The number that a decoded and resized frame [H, W, 3] tells."""
    side = frame.shape[1] // BITS
    squares = [frame[side // 4 : side // 2, bit * side + side // 4 : bit * side + 3 * side // 4] for bit in range(BITS)]
    return sum((square.mean() > 127) << bit for bit, square in enumerate(squares))


def write_film(
    path: Path, shown_at: list[float], codec: str = "libx264", noise: bool = False, faststart: bool = False, **more
) -> Path:
    """Frames 0, 1, 2 … at these times in seconds, with B-frames and few key frames as cameras and sites make them."""
    options = {"movflags": "+faststart"} if faststart else {}
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=30, options={"g": "30", "bf": "2"} | more)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, at in enumerate(shown_at):
            frame = av.VideoFrame.from_image(numbered(number, noise=noise))
            frame.pts, frame.time_base = round(at * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def turn_film(path: Path) -> None:
    """Writes a quarter turn to the right into an MP4's track header, as a phone held upright does."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40  # version 0: 40 bytes of fields stand before the matrix
    data[at : at + 36] = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 96 << 16, 0, 1 << 30)
    path.write_bytes(data)


def cut_film(path: Path, seconds: float) -> None:
    """Moves the beginning of an MP4's edit list, as an editor does that trims a film without encoding it again."""
    data = bytearray(path.read_bytes())
    at = data.index(b"elst") + 4
    assert data[at] == 0, "an edit list of version 0"
    assert struct.unpack(">I", data[at + 4 : at + 8]) == (1,)
    duration, start, _ = struct.unpack(">Iii", data[at + 8 : at + 20])
    movie_scale = struct.unpack(">I", data[data.index(b"mvhd") + 4 + 12 :][:4])[0]
    media_scale = struct.unpack(">I", data[data.index(b"mdhd") + 4 + 12 :][:4])[0]
    duration -= round(seconds * movie_scale)
    data[at + 8 : at + 16] = struct.pack(">Ii", duration, start + round(seconds * media_scale))
    path.write_bytes(data)
