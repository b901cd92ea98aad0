"""Pictures, videos and the streams of phones' screens."""

import io
import itertools
import random
import struct
import tempfile
import zlib
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from fuzz.mutate import some_bytes
from fuzz.target import Check, Make, Target
from qwen2vl_agent.schema.errors import MediaError

FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "ICO", "TGA")
CODECS = (("mp4", "libx264"), ("matroska", "libx264"), ("avi", "mpeg4"), ("webm", "libvpx"), ("gif", "gif"))


def pictures() -> dict[str, bytes]:
    """A small picture in each format, and in some of a PNG's modes."""
    pixels = np.random.default_rng(0).integers(0, 255, (30, 20, 3), dtype=np.uint8)
    image, made = Image.fromarray(pixels), {}
    for name in FORMATS:
        file = io.BytesIO()
        image.save(file, name)
        made[name] = file.getvalue()
    for mode in ("1", "L", "LA", "P", "RGBA", "I;16"):
        file = io.BytesIO()
        (image.convert("L").convert(mode) if mode == "I;16" else image.convert(mode)).save(file, "PNG")
        made[mode] = file.getvalue()
    return made


def bombs() -> list[bytes]:
    """PNGs of a few kilobytes that say that they are huge."""
    return [_png(60_000, 60_000), _png(12_000, 9_000), _png(2**31 - 1, 1), _png(1, 2**31 - 1), _text_bomb()]


def _png(width: int, height: int) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(bytes(1 << 20), 9)) + _END


def _text_bomb() -> bytes:
    told = b"Comment\0\0" + zlib.compress(bytes(1 << 26), 9)
    head = struct.pack(">IIBBBBB", 20, 30, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"zTXt", told) + _END


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


_END = _chunk(b"IEND", b"")


def _image(folder: Path) -> tuple[Make, Check]:
    from qwen2vl_agent.model.image_source import load_rgb

    seeds, large = list(pictures().values()), bombs()

    def make(rng: random.Random) -> bytes:
        return some_bytes(rng, rng.choice(large if rng.random() < 0.02 else seeds))

    def check(data: bytes) -> None:
        assert load_rgb(data).mode == "RGB"

    return make, check


def films(frames: int = 12) -> list[bytes]:
    """A short film in each container."""
    made = []
    with tempfile.TemporaryDirectory() as folder:
        for container, codec in CODECS:
            made.append(_film(Path(folder) / f"film.{container}", container, codec, frames))
    return made


def _film(path: Path, container: str, codec: str, frames: int) -> bytes:
    import av

    with av.open(str(path), "w", format=container) as file:
        stream = file.add_stream(codec, rate=10)
        stream.width, stream.height = 64, 48
        stream.pix_fmt = "rgb8" if codec == "gif" else "yuv420p"
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number * 20, np.uint8), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path.read_bytes()


def _video(folder: Path) -> tuple[Make, Check]:
    from qwen2vl_agent.model.video_file import open_video

    seeds = films()

    def check(data: bytes) -> None:
        for picture in itertools.islice(open_video(data, 2.0).pictures(), 200):
            assert picture.mode == "RGB"

    return lambda rng: some_bytes(rng, rng.choice(seeds)), check


def _stream(folder: Path) -> tuple[Make, Check]:
    """H.264 as a phone's screen recorder sends it, in pieces of any size."""
    from qwen2vl_agent.envs.h264 import BrokenStream, FrameDecoder, to_rgb

    seed = _film(folder / "film.h264", "h264", "libx264", 6)

    def make(rng: random.Random) -> list[bytes]:
        data, pieces = some_bytes(rng, seed), []
        while data:
            length = rng.choice((1, 5, 100, 5000))
            pieces.append(data[:length])
            data = data[length:]
        return pieces if len(pieces) < 500 else [b"".join(pieces)]

    def check(pieces: list[bytes]) -> None:
        decoder = FrameDecoder()
        try:
            for frame in [*(frame for piece in pieces for frame in decoder.feed(piece)), *decoder.end_unit()]:
                assert to_rgb(frame).mode == "RGB"
        except BrokenStream:
            return

    return make, check


TARGETS = (
    Target("image", (MediaError,), _image),
    Target("video", (MediaError,), _video),
    Target("video.stream", (MediaError,), _stream),
)
