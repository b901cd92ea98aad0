"""Videos to patches: the report's bounds, real timestamps, and the order of transformers' patches."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from qwen2vl_agent.model.image_processor import ImageProcessor
from qwen2vl_agent.model.video_file import sample_times
from qwen2vl_agent.model.video_processor import VideoProcessor
from qwen2vl_agent.schema.errors import MediaError
from qwen2vl_agent.schema.geometry import smart_resize


def frames(count: int, width: int = 336, height: int = 336) -> list[Image.Image]:
    rng = np.random.default_rng(count)
    return [Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)) for _ in range(count)]


def write_video(path: Path, shown_at: list[float], shades: list[int], size: tuple[int, int] = (64, 64)) -> Path:
    """A lossless video of plain grey frames at the given times (seconds)."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=30)
        stream.width, stream.height = size
        stream.pix_fmt = "bgr0"
        stream.codec_context.time_base = Fraction(1, 1000)
        for at, shade in zip(shown_at, shades, strict=True):
            frame = av.VideoFrame.from_image(Image.new("RGB", size, (shade, shade, shade)))
            frame.pts, frame.time_base = round(at * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def shades(patches: torch.Tensor, grid: tuple[int, int, int]) -> list[int]:
    """The grey of each sampled frame, padding included."""
    red = patches.reshape(grid[0], -1, 3, 2, 14, 14)[:, 0, 0, :, 0, 0]
    return [round(float(value * 0.26862954 + 0.48145466) * 255) for value in red.flatten()]


def reference_patches(stack: np.ndarray) -> torch.Tensor:
    """Patches of frames [F, H, W, 3] as transformers' `Qwen2VLVideoProcessor.patchify` lays them out."""
    pixels = torch.from_numpy(stack.copy()).permute(0, 3, 1, 2).float() / 255
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073])[:, None, None]
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711])[:, None, None]
    count, _, height, width = pixels.shape
    rows, columns = height // 14, width // 14
    split = ((pixels - mean) / std).view(1, count // 2, 2, 3, rows // 2, 2, 14, columns // 2, 2, 14)
    return split.permute(0, 1, 4, 7, 5, 8, 3, 2, 6, 9).reshape(count // 2 * rows * columns, -1)


def test_patches_come_in_the_references_order() -> None:
    video = frames(4, 364, 308)
    patches, grid = VideoProcessor()(video)
    assert grid == (2, 22, 26)
    expected = reference_patches(np.stack([np.asarray(frame) for frame in video]))
    torch.testing.assert_close(patches, expected, atol=1e-5, rtol=0)


def test_a_video_of_one_frame_is_that_image_at_the_videos_size() -> None:
    (frame,) = frames(1, 500, 300)
    patches, grid = VideoProcessor()([frame])
    expected, expected_grid = ImageProcessor(128 * 784, 768 * 784)(frame)
    assert grid == expected_grid
    assert torch.equal(patches, expected)


def test_an_odd_count_is_padded_with_the_last_frame() -> None:
    video = frames(3)
    patches, grid = VideoProcessor()(video)
    padded, padded_grid = VideoProcessor()([*video, video[-1]])
    assert grid == padded_grid == (2, 24, 24)
    assert torch.equal(patches, padded)


@settings(deadline=None)
@given(width=st.integers(28, 3000), height=st.integers(28, 3000), count=st.integers(1, 40))
def test_short_videos_have_the_references_frame_size(width: int, height: int, count: int) -> None:
    expected = smart_resize(height, width, min_pixels=128 * 784, max_pixels=768 * 784)
    assert VideoProcessor().frame_size(count, width, height) == expected


@settings(deadline=None)
@given(width=st.integers(1, 5000), height=st.integers(1, 5000), count=st.integers(1, 32_768))
def test_no_video_exceeds_its_tokens(width: int, height: int, count: int) -> None:
    if max(width, height) > 200 * min(width, height):
        return
    rows, columns = VideoProcessor().frame_size(count, width, height)
    assert rows % 28 == columns % 28 == 0
    assert rows >= 28
    assert columns >= 28
    assert -(-count // 2) * rows * columns // 784 <= 16_384


def test_a_film_that_no_budget_holds_is_refused() -> None:
    with pytest.raises(MediaError, match="too many"):
        VideoProcessor().frame_size(32_770, 640, 480)


def test_sampling_follows_the_worked_example() -> None:
    assert sample_times([0.0, 0.1, 0.9, 2.0], 2.0) == [0, 1, 2, 2]
    assert sample_times([5.0, 5.5], 2.0) == [0]


def test_a_file_is_sampled_by_its_timestamps(tmp_path: Path) -> None:
    steady = write_video(tmp_path / "steady.mkv", [n / 10 for n in range(20)], list(range(0, 200, 10)))
    patches, grid = VideoProcessor()(steady)
    assert grid[0] == 2
    assert shades(patches, grid) == [0, 50, 100, 150]
    patches, grid = VideoProcessor()(str(steady), fps=5)
    assert shades(patches, grid) == list(range(0, 200, 20))


def test_a_frame_is_held_while_nothing_changes(tmp_path: Path) -> None:
    still = write_video(tmp_path / "still.mkv", [0.0, 0.1, 2.3, 2.4], [10, 20, 30, 40])
    patches, grid = VideoProcessor()(still)
    assert shades(patches, grid) == [10, 20, 20, 20, 20, 20]


def test_settings_are_read_and_written() -> None:
    images = ImageProcessor()
    processor = VideoProcessor(784, 7840, 100, images)
    assert VideoProcessor.from_config(processor.to_config(), images) == processor
    assert VideoProcessor.from_config({}, images) == VideoProcessor()
    nested = {"size": {"shortest_edge": 784, "longest_edge": 7840}}
    assert VideoProcessor.from_config(nested, images).max_pixels == 7840


def test_what_cannot_be_read_is_a_media_error(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    (tmp_path / "empty.mp4").touch()
    for broken in ([], text, tmp_path / "empty.mp4", tmp_path / "missing.mp4", 7, b"bytes"):
        with pytest.raises(MediaError):
            VideoProcessor()(broken)
    with pytest.raises(MediaError, match="rate"):
        VideoProcessor()(text, fps=0)
