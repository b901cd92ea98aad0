"""Checkpoints pass between this package and transformers with every tensor bit for bit."""

import json

import pytest
import torch
from hf_reference import reference_model
from model_sequences import SMALL, UNTIED, randomise, sequence
from safetensors import safe_open
from transformers import Qwen2VLConfig as ReferenceConfig
from transformers import Qwen2VLForConditionalGeneration as Reference

from qwen2vl_agent.model.config import Qwen2VLConfig, preset
from qwen2vl_agent.model.qwen2vl import Qwen2VL

CONFIGS = pytest.mark.parametrize("config", [SMALL, UNTIED], ids=["tied", "untied"])
SIZES = pytest.mark.parametrize("max_shard_size", [10**9, 100_000], ids=["one file", "shards"])


def tensors(folder):
    """Every tensor of a folder's weights, by its name in the file."""
    found = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            found.update({key: file.get_tensor(key) for key in file.keys()})  # noqa: SIM118
    return found


def assert_same(found, expected):
    assert set(found) == set(expected)
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor), name


@CONFIGS
@SIZES
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_we_save_loads_in_transformers_bit_for_bit(tmp_path, config, max_shard_size, dtype):
    model = randomise(Qwen2VL(config))
    model.save_pretrained(tmp_path / "ours", dtype=dtype, max_shard_size=max_shard_size)
    reference, report = Reference.from_pretrained(tmp_path / "ours", dtype="auto", output_loading_info=True)
    assert not any(report.values()), report
    reference.save_pretrained(tmp_path / "theirs")
    assert_same(tensors(tmp_path / "theirs"), tensors(tmp_path / "ours"))


@CONFIGS
@SIZES
def test_what_transformers_saves_loads_here_bit_for_bit(tmp_path, config, max_shard_size):
    reference_model(config).save_pretrained(tmp_path / "theirs", max_shard_size=max_shard_size)
    assert (len(list((tmp_path / "theirs").glob("*.safetensors"))) > 1) == (max_shard_size < 10**9)
    Qwen2VL.from_pretrained(tmp_path / "theirs").save_pretrained(tmp_path / "ours")
    assert_same(tensors(tmp_path / "ours"), tensors(tmp_path / "theirs"))


@CONFIGS
def test_a_saved_model_gives_the_same_logits_in_both_libraries(tmp_path, config):
    model = randomise(Qwen2VL(config))
    model.save_pretrained(tmp_path)
    ids = sequence((30,), config)
    with torch.no_grad():
        expected = Reference.from_pretrained(tmp_path)(input_ids=ids.input_ids[None]).logits[0]
        assert (model(ids) - expected).abs().max() < 1e-4


@pytest.mark.parametrize("size", ["tiny", "2b", "7b", "72b"])
def test_our_config_means_the_same_to_transformers(size):
    config = preset(size)
    theirs = ReferenceConfig(**config.to_hf())
    spelled_by_them = json.loads(theirs.to_json_string())
    assert "text_config" in spelled_by_them
    read_back = Qwen2VLConfig.from_hf(spelled_by_them, {"eos_token_id": list(config.eos_token_ids)})
    assert read_back.text == config.text
    assert read_back.vision == config.vision
    assert read_back.tie_word_embeddings == config.tie_word_embeddings
    assert read_back.image_token_id == config.image_token_id
    assert read_back.eos_token_ids == config.eos_token_ids


def test_the_published_names_are_in_the_file(tmp_path):
    Qwen2VL(UNTIED).save_pretrained(tmp_path)
    names = set(tensors(tmp_path))
    assert {
        "lm_head.weight",
        "model.embed_tokens.weight",
        "model.layers.2.self_attn.q_proj.bias",
        "model.norm.weight",
        "visual.blocks.1.attn.qkv.weight",
        "visual.merger.ln_q.bias",
        "visual.merger.mlp.0.weight",
        "visual.merger.mlp.2.bias",
        "visual.patch_embed.proj.weight",
    } <= names
    assert all(name.startswith(("lm_head.", "model.", "visual.")) for name in names)
