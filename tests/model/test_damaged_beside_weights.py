"""Damaged files beside a checkpoint's weights, as fuzzing found them: always a `CheckpointError`."""

import json
from pathlib import Path

import pytest
import torch

from qwen2vl_agent.commands.models import EMBEDDED
from qwen2vl_agent.dialogue.processor import Processor
from qwen2vl_agent.model import tokenizer as tokenizers_module
from qwen2vl_agent.model.clip_checkpoint import read_tower
from qwen2vl_agent.model.image_processor import CONFIG_FILE
from qwen2vl_agent.model.image_source import picture_size
from qwen2vl_agent.model.tokenizer import Tokenizer
from qwen2vl_agent.schema.errors import CheckpointError, MediaError


class PanicException(BaseException):
    """Named and derived as what Python sees where Rust panics."""


@pytest.mark.parametrize(
    ("error", "seen"), [(PanicException("range end"), CheckpointError), (KeyboardInterrupt(), None)]
)
def test_a_panic_in_the_tokenizers_library_is_an_error_of_the_checkpoint(monkeypatch, error, seen):
    def broken(folder, config):
        raise error

    monkeypatch.setattr(tokenizers_module, "_read_backend", broken)
    with pytest.raises(seen or KeyboardInterrupt):
        Tokenizer.from_pretrained(EMBEDDED)


@pytest.mark.parametrize("values", [{"min_pixels": float("inf")}, {"size": [1]}, {"max_pixels": float("nan")}])
def test_numbers_that_are_no_sizes_are_refused(tmp_path, values):
    for file in EMBEDDED.iterdir():
        if file.suffix in (".json", ".txt"):
            (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / CONFIG_FILE).write_text(json.dumps(json.loads((tmp_path / CONFIG_FILE).read_text()) | values))
    if "size" in values:  # the flat names are asked first
        (tmp_path / CONFIG_FILE).write_text(json.dumps(values))
    with pytest.raises(CheckpointError, match="settings cannot be used"):
        Processor.from_pretrained(tmp_path)


@pytest.mark.parametrize("cut", [0, 4, 200])
def test_a_pickle_that_ends_too_soon_is_refused_whatever_torch_makes_of_it(tmp_path, cut):
    path = tmp_path / "tower.bin"
    torch.save({"visual.conv1.weight": torch.zeros(4)}, path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(CheckpointError, match="cannot be read as weights"):
        read_tower(path)


def test_an_error_without_words_is_told_by_its_name(tmp_path, monkeypatch):
    path = Path(tmp_path / "tower.bin")
    path.write_bytes(b"x")

    def broken(*given, **more):
        raise IndexError

    monkeypatch.setattr(torch, "load", broken)
    with pytest.raises(CheckpointError, match="IndexError"):
        read_tower(path)


def test_the_size_of_what_is_no_picture_is_a_media_error():
    with pytest.raises(MediaError, match="cannot be read as a picture"):
        picture_size(b"no picture")
