"""Frames are packed as PNG that any reader gives back pixel for pixel."""

import io
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from qwen2vl_agent.trajectory.png import png_bytes


def read_back(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 256]))
def test_any_image_comes_back_pixel_for_pixel(width: int, height: int, seed: int, colours: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, colours, (height, width, 3), np.uint8)
    image = Image.fromarray(pixels)
    found = read_back(png_bytes(image))
    assert (found.mode, found.size, found.format) == ("RGB", (width, height), "PNG")
    assert found.tobytes() == image.tobytes()


def test_photographs_are_filtered_and_come_back_too() -> None:
    x, y = np.meshgrid(np.arange(200), np.arange(300))
    noise = np.random.default_rng(0).integers(0, 8, (3, 300, 200))
    photo = Image.fromarray(np.stack([x + noise[0], y // 2 + noise[1], (x + y) // 4 + noise[2]], -1).astype(np.uint8))
    plain = Image.new("RGB", (200, 300), "red")
    assert len(png_bytes(photo)) < 0.8 * len(zlib.compress(photo.tobytes(), 3))
    assert read_back(png_bytes(photo)).tobytes() == photo.tobytes()
    assert len(png_bytes(plain)) < 2000


@pytest.mark.parametrize("colours", [2, 256])
def test_nothing_but_pixels_enters(colours: int) -> None:
    image = Image.fromarray(np.random.default_rng(1).integers(0, colours, (30, 20, 3), np.uint8))
    dressed = image.copy()
    dressed.info = {"icc_profile": b"profile", "transparency": (1, 2, 3), "dpi": (72, 72)}
    assert png_bytes(dressed) == png_bytes(image)
