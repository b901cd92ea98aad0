"""Data sets from the command line: built, looked at, counted."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from qwen2vl_agent.cli import main
from qwen2vl_agent.data import as_seen
from qwen2vl_agent.data.stored_mixture import stored_mixture
from qwen2vl_agent.data.text_store import TextStore
from qwen2vl_agent.dialogue.processor import Processor
from qwen2vl_agent.model.image_processor import ImageProcessor
from qwen2vl_agent.model.tokenizer import train_tokenizer
from qwen2vl_agent.model.video_processor import VideoProcessor
from qwen2vl_agent.schema.errors import ConfigError

TERMS = ["--origin", "tests", "--licence", "CC0-1.0", "--first-date", "2020", "--last-date", "2023-06"]


def png(shade: int, size: tuple[int, int] = (90, 60)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, (shade, 200, 30)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Path, Path]:
    """A file of ten records beside its pictures, one record of no use, and a processor's folder."""
    folder = tmp_path_factory.mktemp("made")
    records = []
    for number in range(10):
        (folder / f"{number}.png").write_bytes(png(number * 20))
        ask = {"from": "human", "value": "<image>\nWhat is it?"}
        records.append({"image": f"{number}.png", "conversations": [ask, {"from": "gpt", "value": f"猫 {number}"}]})
    records.append({"image": "missing.png", "conversations": records[0]["conversations"]})
    (folder / "talk.jsonl").write_text("\n".join(map(json.dumps, records)))
    images = ImageProcessor(min_pixels=784, max_pixels=16 * 784)
    videos = VideoProcessor(784, 4 * 784, 64, images)
    Processor(train_tokenizer(["What is it? "], 300), images, videos).save_pretrained(folder / "model")
    return folder / "talk.jsonl", folder / "model"


@pytest.fixture(scope="module")
def store(made, tmp_path_factory) -> Path:
    lines, model = made
    out = tmp_path_factory.mktemp("stores") / "talk"
    flags = ["--format", "llava", "--media", str(lines.parent), "--out", str(out), "--model", str(model), *TERMS]
    assert main(["data", "build", str(lines), *flags, "--skip-bad", "--workers", "1"]) == 0
    return out


def test_build_tells_what_it_made_and_what_it_left_out(made, tmp_path, capsys):
    lines, model = made
    flags = ["--format", "llava", "--media", str(lines.parent), "--out", str(tmp_path / "talk"), *TERMS]
    flags += ["--model", str(model), "--json"]
    assert main(["data", "build", str(lines), *flags]) == 2
    told = capsys.readouterr().err
    assert "missing.png cannot be had: no such object; --skip-bad" in " ".join(told.split())
    assert "talk.jsonl, byte" in told
    assert main(["data", "build", str(lines), *flags, "--skip-bad"]) == 0
    printed = capsys.readouterr()
    answer = json.loads(printed.out.splitlines()[-1])
    assert answer["documents"] == 10
    assert answer["skipped"] == 1
    assert "10 documents" in printed.err


def test_inspect_shows_tokens_positions_and_targets(store, made, tmp_path, capsys):
    png_file = tmp_path / "seen.png"
    assert main(["data", "inspect", str(store), "--index", "3", "--out", str(png_file)]) == 0
    printed = capsys.readouterr().out
    processor = Processor.from_pretrained(made[1])
    lines = printed.splitlines()
    (picture,) = [line for line in lines if " image 1: " in line]
    assert "6 tokens, 84 x 56 pixels" in picture
    start = int(picture.split()[0])
    assert f"t {start}-{start}, h {start}-{start + 1}, w {start}-{start + 2}" in picture
    told = [int(line.split()[1]) for line in lines if line.endswith("  target")]
    assert processor.tokenizer.decode(told) == "猫 3<|im_end|>"
    page = Image.open(png_file)
    pixels = np.asarray(page.convert("RGB")).reshape(-1, 3)
    assert (np.abs(pixels.astype(int) - (60, 200, 30)).max(1) <= 2).sum() >= 84 * 56  # the picture, as it is seen
    assert (pixels == as_seen.TARGET[0]).all(1).any()
    assert (pixels == as_seen.CONTEXT[0]).all(1).any()


def test_a_record_is_shown_as_its_document_is(store, made, capsys):
    lines, model = made
    assert main(["data", "inspect", str(store), "--index", "4", "--json"]) == 0
    stored = capsys.readouterr()
    flags = ["--format", "llava", "--media", str(lines.parent), "--model", str(model), "--index", "4", "--json"]
    assert main(["data", "inspect", str(lines), *flags]) == 0
    plain = capsys.readouterr()
    assert stored.out == plain.out
    assert stored.err.splitlines()[1:] == plain.err.splitlines()[1:]


def test_stats_count_and_refuse(store, capsys):
    assert main(["data", "stats", str(store), "--verify", "--cutoff", "2023-06", "--json"]) == 0
    printed = capsys.readouterr()
    counted = json.loads(printed.out.splitlines()[-1])["stores"]["talk"]
    assert (counted["documents"], counted["images"], counted["videos"], counted["skipped"]) == (10, 10, 0, 1)
    assert counted["visual_tokens"] == 60
    assert counted["licence"] == "CC0-1.0"
    opened = TextStore(store)
    assert counted["tokens"] == opened.tokens == sum(len(opened.document(n).token_ids) for n in range(10))
    assert main(["data", "stats", str(store), "--cutoff", "2023-05"]) == 2
    assert "talk (to 2023-06)" in capsys.readouterr().err


def test_stats_find_a_changed_byte(store, tmp_path, capsys):
    for path in store.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    path = tmp_path / "shard-00000.text"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert main(["data", "stats", str(tmp_path), "--verify"]) == 2
    assert "build it again" in capsys.readouterr().err


def test_a_mixture_of_stores_takes_a_cutoff(store):
    mixture = stored_mixture({store: 1.0}, cutoff="2023-06")
    assert sorted(mixture.example(position).number for position in range(10)) == list(range(10))
    with pytest.raises(ConfigError, match="cutoff"):
        stored_mixture({store: 1.0}, cutoff="2022")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["inspect", "nowhere"], "no text store"),
        (["inspect", "{store}", "--index", "10"], "has 10 documents"),
        (["inspect", "{lines}"], "--format"),
        (["inspect", "{lines}", "--format", "llava", "--index", "99"], "no such record"),
        (["inspect", "{lines}", "--format", "llava"], "no folder of pictures"),
        (["inspect", "{lines}", "--format", "odd"], "no format 'odd'"),
        (["inspect", "{lines}.txt", "--format", "llava"], "expected a file named"),
        (["stats"], "no stores"),
        (["build", "{lines}", "--format", "llava", "--out", "{out}", *TERMS[:-1], "soon"], "'soon' is no date"),
    ],
)
def test_what_cannot_be_done_is_one_line(store, made, tmp_path, capsys, words, message):
    filled = [word.format(store=store, lines=made[0], out=tmp_path / "out") for word in words]
    assert main(["data", *filled]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert message in told
    assert told.count("\n") == 1


def test_the_frames_that_patches_were_cut_from_come_back():
    rng = np.random.default_rng(0)
    images = ImageProcessor()
    stack = rng.integers(0, 256, (4, 56, 84, 3), dtype=np.uint8)
    patches, grid = images.patches(stack)
    assert np.array_equal(as_seen.unpatched(patches, grid, images), stack)
    one, grid = images.patches(stack[:1])
    assert np.array_equal(as_seen.unpatched(one, grid, images)[0], stack[0])


def test_a_drawing_has_every_picture_and_frame():
    images = ImageProcessor(min_pixels=784, max_pixels=16 * 784)
    videos = VideoProcessor(784, 4 * 784, 64, images)
    processor = Processor(train_tokenizer(["a"], 300), images, videos)
    shades = [(10, 20, 200), (200, 20, 10)]
    film = [Image.new("RGB", (56, 56), shade) for shade in shades]
    parts = [
        {"type": "video", "video": film},
        {"type": "text", "text": "long " * 200},
        {"type": "image", "image": Image.new("RGB", (112, 56), (7, 130, 7))},
    ]
    page = as_seen.drawing(processor.encode([{"role": "user", "content": parts}]), processor, "a title")
    pixels = np.asarray(page).reshape(-1, 3).astype(int)
    for shade, least in ((shades[0], 56 * 56), (shades[1], 56 * 56), ((7, 130, 7), 112 * 56)):
        assert (np.abs(pixels - shade).max(1) <= 2).sum() >= least


def test_generators_are_listed_and_looked_at_like_data(tmp_path, capsys):
    assert main(["data", "synthetic", "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {"texts", "documents", "charts", "tables", "shapes", "videos", "screens"} <= set(told["generators"])
    assert {"latin", "arabic"} <= set(told["scripts"])
    seen = []
    for seed in ("1", "2"):
        flags = ["--index", "4", "--seed", seed, "--out", str(tmp_path / f"{seed}.png"), "--json"]
        assert main(["data", "inspect", "synthetic:tables", *flags]) == 0
        assert json.loads(capsys.readouterr().out.splitlines()[-1])["targets"] > 5
        seen.append((tmp_path / f"{seed}.png").read_bytes())
    assert seen[0] != seen[1]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["synthetic:maps"], "no generator 'maps'; expected one of texts"),
        (["synthetic:drills"], "synthetic:drills@FOLDER"),
        (["synthetic:charts", "--index", "-1"], "numbered from 0"),
    ],
)
def test_a_generator_that_cannot_be_had_is_told_in_one_line(flags, said, capsys):
    assert main(["data", "inspect", *flags]) == 2
    assert said in capsys.readouterr().err


def test_a_stand_in_is_written_for_the_evaluation(tmp_path, capsys):
    assert main(["data", "standin", "mathvista", "--out", str(tmp_path / "m"), "--count", "4"]) == 0
    assert "eval mathvista --data" in capsys.readouterr().out
    assert len(json.loads((tmp_path / "m" / "testmini.json").read_text())) == 4


@pytest.mark.slow
def test_screens_are_recorded_and_asked_about(tmp_path, capsys):
    flags = ["--count", "1", "--workers", "1", "--seed", "3", "--json"]
    assert main(["data", "screens", "--out", str(tmp_path / "screens"), *flags]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["screens"] == 256
    for name in ("screens", "drills", "changes"):
        assert main(["data", "inspect", f"synthetic:{name}@{tmp_path / 'screens'}", "--json"]) == 0
        assert json.loads(capsys.readouterr().out.splitlines()[-1])["targets"] > 0
