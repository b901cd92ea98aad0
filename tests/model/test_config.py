"""Sizes, spellings and refusals of the configuration."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from model_sequences import SMALL

from qwen2vl_agent.model.config import Qwen2VLConfig, preset
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.schema.errors import CheckpointError


def on_meta(size):
    with torch.device("meta"):
        return Qwen2VL(preset(size))


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_2b_size_has_the_published_number_of_parameters():
    model = on_meta("2b")
    assert count(model) == 2_208_985_600
    assert count(model.visual) == 665_271_296
    assert count(model.visual) + count(model.language_model) == count(model), "the head is the embedding"


def test_the_7b_size_has_the_published_number_of_parameters():
    model = on_meta("7b")
    assert count(model) == 8_291_375_616
    assert count(model.visual) == 675_759_104
    assert tuple(model.lm_head.weight.shape) == (152064, 3584)


def test_the_72b_size_has_the_published_shapes():
    model = on_meta("72b")
    assert round(count(model) / 1e9, 1) == 73.4
    layer = model.language_model.layers[79]
    assert tuple(layer.self_attn.k_proj.weight.shape) == (1024, 8192)
    assert tuple(layer.mlp.down_proj.weight.shape) == (8192, 29568)
    assert tuple(model.visual.patch_embed.weight.shape) == (1280, 3, 2, 14, 14)
    assert tuple(model.visual.merger.fc2.weight.shape) == (8192, 5120)


def test_the_tiny_size_fits_in_twelve_megabytes_of_bfloat16():
    assert 5_000_000 < count(on_meta("tiny")) < 12_000_000 / 2 - 10_000


def test_parameters_are_selected_by_prefix():
    names = [name for name, _ in on_meta("7b").named_parameters()]
    assert any(name.startswith("visual.merger.") for name in names)
    assert {name.split(".")[0] for name in names} == {"visual", "language_model", "lm_head"}


@pytest.mark.parametrize("size", ["tiny", "2b", "7b", "72b"])
def test_a_config_read_back_from_its_published_spelling_is_the_same(size):
    assert Qwen2VLConfig.from_hf(preset(size).to_hf()) == preset(size)


def test_the_published_spelling_has_its_published_parts():
    written = preset("2b").to_hf()
    assert written["architectures"] == ["Qwen2VLForConditionalGeneration"]
    assert written["model_type"] == "qwen2_vl"
    assert written["rope_scaling"] == {"type": "mrope", "mrope_section": [16, 24, 24]}
    assert written["vision_config"]["hidden_size"] == 1536
    assert written["torch_dtype"] == "bfloat16"
    assert written["eos_token_id"] == 151645


def test_the_nested_spelling_is_read():
    flat = SMALL.to_hf()
    top = ("architectures", "model_type", "vision_config", "image_token_id", "video_token_id", "tie_word_embeddings",
           "vision_start_token_id", "vision_end_token_id", "vision_token_id")  # fmt: skip
    text = {key: value for key, value in flat.items() if key not in (*top, "rope_scaling", "rope_theta", "torch_dtype")}
    text |= {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [2, 3, 3]}}
    nested = {key: flat[key] for key in top} | {"text_config": text | {"dtype": "bfloat16"}, "dtype": "float32"}
    assert Qwen2VLConfig.from_hf(nested) == SMALL


def test_the_ending_ids_come_from_the_generation_config():
    config = Qwen2VLConfig.from_hf(SMALL.to_hf(), {"eos_token_id": [1, 2, 3], "pad_token_id": 4})
    assert config.eos_token_ids == (1, 2, 3)
    assert config.pad_token_id == 4


def test_special_ids_come_from_the_vocabulary():
    names = ("endoftext", "im_end", "vision_start", "vision_end", "vision_pad", "image_pad", "video_pad")
    config = preset("tiny").with_tokens(SimpleNamespace(**{name: i for i, name in enumerate(names)}))
    assert (config.pad_token_id, config.eos_token_ids, config.image_token_id) == (0, (1, 0), 5)
    assert (config.vision_start_token_id, config.vision_end_token_id, config.vision_token_id) == (2, 3, 4)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"model_type": "qwen2_5_vl"}, "expected 'qwen2_vl'"),
        ({"hidden_size": None}, "config.json"),
        ({"num_attention_heads": 3}, "multiple"),
        ({"use_sliding_window": True}, "sliding"),
        ({"rope_scaling": {"type": "yarn", "mrope_section": [2, 3, 3]}}, "yarn"),
        ({"rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 4]}}, "sum to half"),
        ({"hidden_act": "gelu"}, "gelu"),
        ({"torch_dtype": "int8"}, "int8"),
        ({"vision_config": {"patch_size": [14, 16]}}, "one number"),
    ],
)
def test_a_config_that_cannot_be_used_says_why(change, says):
    with pytest.raises(CheckpointError, match=says):
        Qwen2VLConfig.from_hf(SMALL.to_hf() | change)


def test_a_config_without_its_sizes_is_refused():
    config = SMALL.to_hf()
    del config["num_hidden_layers"]
    with pytest.raises(CheckpointError, match="num_hidden_layers"):
        Qwen2VLConfig.from_hf(config)


def test_sides_written_as_pairs_are_read():
    config = SMALL.to_hf()
    config["vision_config"]["patch_size"] = [14, 14]
    assert Qwen2VLConfig.from_hf(config) == SMALL


def test_an_unknown_preset_is_refused():
    with pytest.raises(ValueError, match="tiny, 2b, 7b, 72b"):
        preset("3b")


def test_a_vision_width_that_heads_do_not_divide_is_refused():
    with pytest.raises(ValueError, match="embed_dim"):
        replace(SMALL.vision, num_heads=5)


def test_random_weights_repeat_for_a_seed_and_are_small_where_they_add_up():
    first, second, other = (Qwen2VL(SMALL, seed=seed) for seed in (1, 1, 2))
    assert all(map(torch.equal, first.parameters(), second.parameters()))
    layer = first.language_model.layers[0]
    assert not torch.equal(layer.mlp.up_proj.weight, other.language_model.layers[0].mlp.up_proj.weight)
    assert layer.mlp.up_proj.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert layer.mlp.down_proj.weight.std().item() == pytest.approx(0.02 / 6**0.5, rel=0.05)
    assert first.visual.blocks[0].mlp.fc2.weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert bool((layer.input_layernorm.weight == 1).all())
    assert bool((layer.self_attn.q_proj.bias == 0).all())


def test_a_networks_size_is_told_within_two_percent():
    for size in ("tiny", "2b", "7b"):
        assert abs(preset(size).parameters / count(on_meta(size)) - 1) < 0.02
