"""Pictures to patches: equal to transformers' PIL processor, and clear about what it cannot read."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from qwen2vl_agent.model.image_processor import ImageProcessor, cut_patches
from qwen2vl_agent.model.image_source import load_rgb
from qwen2vl_agent.schema.errors import CheckpointError, MediaError

REFERENCE = Qwen2VLImageProcessorPil(min_pixels=3136, max_pixels=12_845_056)
SIZES = [(28, 28), (56, 29), (100, 61), (98, 56), (42, 70), (333, 777), (28, 5600), (6000, 30), (1080, 2400)]


def noise(width: int, height: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def png(image: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", **options)
    return file.getvalue()


def assert_equal_to_reference(image: Image.Image, ours: ImageProcessor, reference: Qwen2VLImageProcessorPil) -> None:
    patches, grid = ours(image)
    expected = reference(image, return_tensors="pt")
    assert [list(grid)] == expected["image_grid_thw"].tolist()
    assert patches.dtype == torch.float32
    torch.testing.assert_close(patches, expected["pixel_values"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", SIZES)
def test_patches_and_grid_equal_the_reference(size: tuple[int, int]) -> None:
    assert_equal_to_reference(Image.fromarray(noise(*size)), ImageProcessor(), REFERENCE)


def test_a_picture_of_twelve_megapixels_equals_the_reference_under_a_tighter_limit() -> None:
    reference = Qwen2VLImageProcessorPil(min_pixels=3136, max_pixels=1_003_520)
    assert_equal_to_reference(Image.fromarray(noise(4000, 3000)), ImageProcessor(3136, 1_003_520), reference)


@settings(deadline=None, max_examples=25)
@given(width=st.integers(28, 700), height=st.integers(28, 700), most=st.integers(8, 400))
def test_any_size_and_limit_equals_the_reference(width: int, height: int, most: int) -> None:
    limit = most * 784
    reference = Qwen2VLImageProcessorPil(min_pixels=3136, max_pixels=limit)
    assert_equal_to_reference(Image.fromarray(noise(width, height)), ImageProcessor(3136, limit), reference)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "L", "P", "1", "CMYK"])
def test_other_modes_equal_the_reference(mode: str) -> None:
    picture = Image.fromarray(noise(64, 48, 4), "RGBA").convert(mode)
    assert_equal_to_reference(picture, ImageProcessor(), REFERENCE)


def test_transparency_shows_white_in_files_too() -> None:
    clear = Image.new("RGBA", (56, 56), (255, 0, 0, 0))
    assert load_rgb(png(clear)).getpixel((5, 5)) == (255, 255, 255)
    palette = Image.new("P", (56, 56), 3)
    palette.info["transparency"] = 3
    assert load_rgb(palette).getpixel((5, 5)) == (255, 255, 255)


def test_sixteen_bit_grey_keeps_its_upper_byte() -> None:
    deep = Image.fromarray(np.full((40, 40), 0x80FF, np.uint16))
    assert load_rgb(png(deep)).getpixel((0, 0)) == (128, 128, 128)
    assert load_rgb(np.full((40, 40), 0x80FF, np.uint16)).getpixel((0, 0)) == (128, 128, 128)


def test_the_first_frame_of_an_animation_is_taken() -> None:
    file = io.BytesIO()
    red, blue = Image.new("RGB", (40, 40), "red"), Image.new("RGB", (40, 40), "blue")
    red.save(file, "GIF", save_all=True, append_images=[blue])
    assert load_rgb(file.getvalue()).getpixel((1, 1)) == (255, 0, 0)


def test_files_are_turned_upright_and_pil_images_left_alone(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by a quarter
    path = tmp_path / "photo.jpg"
    Image.new("RGB", (80, 40)).save(path, exif=exif)
    assert load_rgb(path).size == load_rgb(path.read_bytes()).size == (40, 80)
    with Image.open(path) as opened:
        assert load_rgb(opened).size == (80, 40)


def test_path_bytes_array_and_image_give_the_same_patches(tmp_path: Path) -> None:
    pixels = noise(70, 50)
    picture = Image.fromarray(pixels)
    path = tmp_path / "picture.png"
    picture.save(path)
    expected, _ = ImageProcessor()(picture)
    for other in (path, str(path), path.read_bytes(), pixels):
        assert torch.equal(ImageProcessor()(other)[0], expected)
    half = np.full((30, 30, 3), 0.5)
    assert torch.equal(ImageProcessor()(half)[0], ImageProcessor()(np.full((30, 30, 3), 128, np.uint8))[0])


def broken_pictures() -> dict[str, object]:
    whole = png(Image.fromarray(noise(200, 200)))
    return {
        "nothing": b"",
        "cut off": whole[: len(whole) // 2],
        "text": b"not a picture at all",
        "missing": Path("no/such/file.png"),
        "long and thin": Image.new("RGB", (201, 1)),
        "no pixels": Image.new("RGB", (0, 20)),
        "another type": 17,
        "odd shape": np.zeros((4, 4, 7), np.uint8),
        "odd values": np.full((40, 40), 1e9),
        "empty array": np.zeros((0, 5, 3), np.uint8),
    }


@pytest.mark.parametrize("name", broken_pictures())
def test_what_cannot_be_read_is_a_media_error(name: str) -> None:
    with pytest.raises(MediaError):
        ImageProcessor()(broken_pictures()[name])


def test_a_decompression_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = png(Image.new("1", (3000, 3000)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000_000)
    with pytest.raises(MediaError, match="too large"):
        ImageProcessor()(bomb)


def test_a_lazily_opened_damaged_file_is_a_media_error() -> None:
    whole = png(Image.fromarray(noise(200, 200)))
    with (
        Image.open(io.BytesIO(whole[: len(whole) // 2])) as opened,
        pytest.raises(MediaError, match="damaged"),
    ):
        ImageProcessor()(opened)


def test_patches_of_a_group_stand_together() -> None:
    pixels = np.zeros((1, 56, 56, 3), np.uint8)
    for row in range(4):
        for column in range(4):
            pixels[0, row * 14 : row * 14 + 14, column * 14 : column * 14 + 14] = 10 * row + column
    cells, grid = cut_patches(pixels)
    assert grid == (1, 4, 4)
    order = [int(cell[0, 0, 0, 0]) for cell in cells]
    assert order == [0, 1, 10, 11, 2, 3, 12, 13, 20, 21, 30, 31, 22, 23, 32, 33]


def test_the_grid_is_known_without_pixels() -> None:
    for width, height in SIZES:
        assert ImageProcessor().grid(width, height) == ImageProcessor()(Image.new("RGB", (width, height)))[1]


def test_both_spellings_of_the_settings_are_read_and_the_published_one_is_written() -> None:
    flat = ImageProcessor(4000, 50_000).to_config()
    assert (flat["min_pixels"], flat["max_pixels"], flat["patch_size"]) == (4000, 50_000, 14)
    assert ImageProcessor.from_config(flat) == ImageProcessor(4000, 50_000)
    nested = {"size": {"shortest_edge": 4000, "longest_edge": 50_000}}
    assert ImageProcessor.from_config(nested) == ImageProcessor(4000, 50_000)
    assert ImageProcessor.from_config({}) == ImageProcessor(3136, 12_845_056)
    with pytest.raises(CheckpointError, match="patch_size"):
        ImageProcessor.from_config({"patch_size": 16})


def test_saved_settings_load_in_the_reference(tmp_path: Path) -> None:
    ImageProcessor(4000, 50_000).save_pretrained(tmp_path)
    loaded = Qwen2VLImageProcessorPil.from_pretrained(tmp_path)
    assert_equal_to_reference(Image.fromarray(noise(300, 300)), ImageProcessor(4000, 50_000), loaded)


def test_impossible_limits_are_refused() -> None:
    with pytest.raises(ValueError, match="min_pixels"):
        ImageProcessor(5000, 4000)
