"""Files that ask for more than they are: bombs, giant sizes, paths that lead elsewhere. Each was once taken."""

import io
import json
import struct
import zlib

import pytest
from PIL import Image

from qwen2vl_agent.data.frame_pack import Pack
from qwen2vl_agent.data.lerobot import _placed
from qwen2vl_agent.model.config import Qwen2VLConfig, preset
from qwen2vl_agent.model.image_source import load_rgb
from qwen2vl_agent.model.video_file import MOST_INSTANTS, sample_times
from qwen2vl_agent.schema.errors import CheckpointError, MediaError, RecordError
from qwen2vl_agent.schema.geometry import MOST_PIXELS
from qwen2vl_agent.trajectory.png import png_bytes, read_png
from qwen2vl_agent.trajectory.prompt_delta import unpack_prompt


def giant_png(width: int, height: int) -> bytes:
    data = bytearray(png_bytes(Image.new("RGB", (4, 4))))
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


def test_a_picture_that_says_it_is_giant_is_refused_before_it_is_unpacked():
    side = int(MOST_PIXELS**0.5) + 1
    with pytest.raises(MediaError, match="too large to open safely"):
        load_rgb(giant_png(side, side))
    with pytest.raises(ValueError, match="expected at most"):
        read_png(giant_png(60_000, 60_000))


def test_a_postscript_file_is_no_picture_for_it_would_start_another_program():
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "EPS")
    with pytest.raises(MediaError, match="cannot be read as a picture"):
        load_rgb(file.getvalue())


def test_a_timestamp_centuries_ahead_does_not_ask_for_a_picture_of_every_instant():
    with pytest.raises(MediaError, match=str(MOST_INSTANTS)):
        sample_times([0.0, 0.5, 1e12], 2.0)
    with pytest.raises(MediaError, match=str(MOST_INSTANTS)):
        sample_times([0.0, float("inf")], 2.0)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("num_hidden_layers", 10**9),
        ("vocab_size", 2**60),
        ("hidden_size", -8),
        ("num_attention_heads", 0),
        ("image_token_id", "0"),
        ("eos_token_id", [1.5]),
        ("rope_theta", float("inf")),
        ("rope_scaling", [1]),
        ("vision_config", "x"),
    ],
)
def test_a_config_with_an_absurd_value_is_refused_by_name_of_the_file(place, value):
    with pytest.raises(CheckpointError, match=r"config\.json cannot be used"):
        Qwen2VLConfig.from_hf(preset("2b").to_hf() | {place: value})


def test_a_prompt_of_a_damaged_count_is_refused():
    with pytest.raises(RecordError, match="damaged"):
        unpack_prompt({"keep": 0, "ids": [[9, 10**15]]}, ())
    with pytest.raises(RecordError, match="damaged"):
        unpack_prompt({"keep": -1, "ids": []}, (1, 2))


def test_a_pack_whose_frame_inflates_beyond_a_frame_is_refused(tmp_path):
    bomb = zlib.compress(bytes(10**7))
    index = {"version": 1, "shape": [1, 2, 2, 3], "frames": [["change", len(bomb), zlib.crc32(bomb)]]}
    text = json.dumps(index).encode()
    path = tmp_path / "frames.pack"
    path.write_bytes(b"QWVLPACK" + bomb + text + struct.pack("<II", len(text), zlib.crc32(text)) + b"QWVLPEND")
    with pytest.raises(RecordError, match="expected 12"):
        Pack(path).frames()


@pytest.mark.parametrize("template", ["../{episode_index}.parquet", "/etc/{episode_index}", "{episode_index.__class__}",
                                      "{episode_index:099999999d}"])  # fmt: skip
def test_a_template_of_a_robots_data_set_names_files_of_the_set_only(tmp_path, template):
    with pytest.raises(ValueError, match="is no path"):
        _placed(tmp_path, template, episode_index=3)
    assert _placed(tmp_path, "data/{episode_index:06d}.parquet", episode_index=3) == tmp_path / "data/000003.parquet"
