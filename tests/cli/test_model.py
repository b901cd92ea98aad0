"""The commands with a model: a random one of the same architecture, saved and loaded as any other."""

import dataclasses
import json

import pytest
import torch

from qwen2vl_agent import cli
from qwen2vl_agent.dialogue.processor import Processor
from qwen2vl_agent.model.config import TextConfig, VisionConfig, preset
from qwen2vl_agent.model.image_processor import ImageProcessor
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.model.tokenizer import train_tokenizer
from qwen2vl_agent.recipes import registry
from qwen2vl_agent.trajectory.store import HEADER_FILE


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A folder with a tiny random model."""
    folder = tmp_path_factory.mktemp("checkpoint")
    tokenizer = train_tokenizer(["Tap it.\n✿FUNCTION✿: tap\n✿ARGS✿: {}\n✿RESULT✿: ✿RETURN✿: <tool_call>"] * 3, 420)
    processor = Processor(tokenizer, ImageProcessor(min_pixels=28 * 28, max_pixels=56 * 112))
    text = TextConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        intermediate_size=48,
        mrope_section=(2, 3, 3),
        max_window_layers=2,
    )
    config = dataclasses.replace(preset("tiny"), text=text, vision=VisionConfig(depth=1, embed_dim=32, num_heads=2))
    model = Qwen2VL(config.with_tokens(tokenizer.special), seed=0)
    with torch.no_grad():  # as initialised, every token is about as likely as any other
        for weight in model.parameters():
            weight.mul_(3.0)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return str(folder)


def call(capsys, *words: str) -> tuple[int, dict]:
    status = cli.main([*words, "--json"])
    return status, json.loads(capsys.readouterr().out.splitlines()[-1])


def test_a_models_measurement_can_be_verified_to_the_last_token(checkpoint, tmp_path, capsys):
    words = ["bench", "settings.toggle", "--model", checkpoint, "--episodes", "1", "--max-steps", "2", "--blind"]
    status, answer = call(capsys, *words, "--workers", "1", "--out", str(tmp_path / "bench"))
    assert (status, answer["policy"], answer["model"], answer["success"]) == (0, "model", checkpoint, 0.0)
    status, answer = call(capsys, "verify", str(tmp_path / "bench"))
    assert (status, answer["steps"], answer["mismatches"]) == (0, 2, 0)
    assert answer["worst_logprob_difference"] < 1e-4


def test_how_finely_a_model_looked_is_recorded_and_verified(checkpoint, tmp_path, capsys):
    words = ["bench", "settings.toggle", "--model", checkpoint, "--episodes", "1", "--max-steps", "1", "--workers", "1"]
    status, answer = call(capsys, *words, "--max-pixels", "784", "--out", str(tmp_path / "bench"))
    assert (status, answer["max_pixels"], answer["dtype"]) == (0, 784, "auto")
    status, answer = call(capsys, "verify", str(tmp_path / "bench"))
    assert (status, answer["steps"], answer["mismatches"]) == (0, 1, 0)


def test_a_record_of_a_gpu_is_verified_where_there_is_none(checkpoint, tmp_path, capsys):
    words = ["bench", "settings.toggle", "--model", checkpoint, "--episodes", "1", "--max-steps", "1", "--workers", "1"]
    call(capsys, *words, "--out", str(tmp_path / "bench"))
    (header,) = (tmp_path / "bench").glob(f"*/{HEADER_FILE}")
    written = json.loads(header.read_text("utf-8"))
    written["config"]["loading"]["compute"] = "cuda:7"
    header.chmod(0o644)
    header.write_text(json.dumps(written), "utf-8")
    assert cli.main(["verify", str(tmp_path / "bench")]) == 2
    assert "give cpu" in capsys.readouterr().err
    status, answer = call(capsys, "verify", str(tmp_path / "bench"), "--compute", "cpu")
    assert (status, answer["steps"], answer["mismatches"]) == (0, 1, 0)


def test_a_model_that_did_not_write_the_record_does_not_verify_it(checkpoint, tmp_path, capsys):
    words = ["bench", "settings.toggle", "--model", checkpoint, "--episodes", "1", "--max-steps", "1", "--workers", "1"]
    assert call(capsys, *words, "--out", str(tmp_path / "bench"))[0] == 0
    model = Qwen2VL.from_pretrained(checkpoint)
    with torch.no_grad():
        model.lm_head.weight.mul_(1.5)
    model.save_pretrained(tmp_path / "other")
    Processor.from_pretrained(checkpoint).save_pretrained(tmp_path / "other")
    status, answer = call(capsys, "verify", str(tmp_path / "bench"), "--model", str(tmp_path / "other"))
    assert status == 1
    assert answer["worst_logprob_difference"] > 1e-3


def test_a_model_that_is_nowhere_is_the_operators_to_mend(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    words = ["bench", "settings.toggle", "--model", str(tmp_path / "nowhere"), "--episodes", "1", "--workers", "1"]
    assert cli.main([*words, "--out", str(tmp_path / "bench")]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_training_is_handed_to_the_recipe(tmp_path, monkeypatch, capsys):
    taken = {}

    def train(**given):
        taken.update(given)
        return given["out"] / "model"

    monkeypatch.setattr(registry, "get", lambda name: train)
    status, answer = call(capsys, "train", "tiny", "--out", str(tmp_path), "--resume", "--set", "seed=3")
    assert (status, answer["recipe"], answer["model"]) == (0, "tiny", str(tmp_path / "model"))
    assert taken == {"out": tmp_path, "resume": True, "overrides": {"seed": "3"}}


def test_an_unknown_recipe_or_field_is_the_operators_to_mend(tmp_path, capsys):
    assert cli.main(["train", "tyni", "--out", str(tmp_path / "run")]) == 2
    assert "there is no recipe 'tyni'" in capsys.readouterr().err
    assert cli.main(["train", "tiny", "--out", str(tmp_path / "run"), "--set", "colour=red"]) == 2
    assert "colour" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
