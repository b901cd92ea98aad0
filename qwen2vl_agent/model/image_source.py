"""From anything that holds a picture to RGB pixels."""

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image, ImageOps

from qwen2vl_agent.schema.errors import MediaError
from qwen2vl_agent.schema.geometry import MOST_PIXELS

T = TypeVar("T")
FORMATS = (
    "PNG", "JPEG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "ICO", "TGA", "MPO", "AVIF", "JPEG2000", "PCX", "QOI",
)  # fmt: skip
"""Formats of files that are opened. Pillow knows others, for one of which (EPS) it starts another program."""


def load_rgb(image: Any) -> Image.Image:
    """The picture in RGB, 8 bits a channel: from a PIL image, a path, encoded bytes, or an array [H, W] or [H, W, C].

    Transparency is laid on white; 16-bit grey keeps its upper byte; of an animation the first frame is taken. Files and
    bytes are turned upright as their EXIF data say; a PIL image is taken as it is, at the frame it stands at. All as
    `transformers` 5 does (its file loader drops transparency; here files and PIL images are treated alike).

    Raises:
        MediaError: there is no picture, or it is damaged, or far too large.
    """
    if isinstance(image, Image.Image):
        return _guarded(lambda: _to_rgb(image), "the image")
    if isinstance(image, str | os.PathLike):
        path = Path(image)
        if not path.is_file():
            raise MediaError(f"{path}: no such image file")
        return _guarded(lambda: _open(path), str(path))
    if isinstance(image, bytes | bytearray | memoryview):
        if len(image) == 0:
            raise MediaError("the image has no bytes; expected an encoded picture such as PNG or JPEG")
        return _guarded(lambda: _open(io.BytesIO(bytes(image))), f"the image of {len(image)} bytes")
    if isinstance(image, np.ndarray):
        return _to_rgb(_from_array(image))
    raise MediaError(f"an image is {type(image).__name__}; expected a PIL image, a path, bytes or an array")


def picture_size(source: bytes | str | os.PathLike[str]) -> tuple[int, int]:
    """Width and height of an encoded picture or a file, whose pixels are not decoded.

    Raises:
        MediaError: it is no picture.
    """
    opened = io.BytesIO(source) if isinstance(source, bytes) else source
    return _guarded(lambda: _size(opened), "the picture")


def _size(source: Any) -> tuple[int, int]:
    with Image.open(source, formats=FORMATS) as opened:
        return opened.size


def _guarded(read: Callable[[], T], what: str) -> T:
    try:
        return read()
    except MediaError:
        raise
    except Image.DecompressionBombError as error:
        raise MediaError(f"{what} is too large to open safely: {error}; scale it down first") from error
    except Exception as error:  # Pillow's decoders raise whatever they meet in a damaged file
        raise MediaError(
            f"{what} cannot be read as a picture, it may be damaged or of another kind: {error}"
        ) from error


def _open(source: Any) -> Image.Image:
    with Image.open(source, formats=FORMATS) as opened:
        if opened.width * opened.height > MOST_PIXELS:
            raise MediaError(
                f"a picture of {opened.width}x{opened.height} pixels is too large to open safely; expected at most "
                f"{MOST_PIXELS} in all: scale it down first"
            )
        return _to_rgb(ImageOps.exif_transpose(opened))


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.width == 0 or image.height == 0:
        raise MediaError(f"an image of {image.width}x{image.height} pixels has nothing to show; expected at least 1x1")
    image.load()  # a picture opened from a file is read only now, and may turn out to be damaged
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I") or image.mode == "F":
        return _from_array(np.asarray(image)).convert("RGB")
    if "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def _from_array(values: np.ndarray) -> Image.Image:
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    if values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[2] not in (3, 4)) or 0 in values.shape:
        raise MediaError(
            f"an array of shape {values.shape} is no image; expected [height, width] or [height, width, 3]"
        )
    return Image.fromarray(_to_bytes(values))


def _to_bytes(values: np.ndarray) -> np.ndarray:
    """8-bit values of an array of 8 or 16-bit integers, of booleans, or of floats in [0, 1]."""
    if values.dtype == np.uint8:
        return np.ascontiguousarray(values)
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * np.uint8(255)
    low, high = values.min(), values.max()
    if values.dtype.kind in "iu" and low >= 0 and high <= 65535:
        sixteen_bit = values.dtype.itemsize == 2 or high > 255
        return (values >> 8 if sixteen_bit else values).astype(np.uint8)
    if values.dtype.kind == "f" and low >= 0 and high <= 1:
        return np.round(values * 255).astype(np.uint8)
    raise MediaError(
        f"image values of type {values.dtype} from {low} to {high} cannot be read; "
        "expected 8 or 16-bit integers, or floats from 0 to 1"
    )
