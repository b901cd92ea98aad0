"""Checkpoints on disk: shards, types, and every way in which a folder can be wrong."""

import json

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from model_sequences import SMALL, UNTIED, randomise
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from qwen2vl_agent.model.hf_checkpoint import INDEX, SINGLE, memory_name, published_name
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.schema.errors import CheckpointError, ConfigError

SHARD = 100_000
CONFIGS = pytest.mark.parametrize("config", [SMALL, UNTIED], ids=["tied", "untied"])


@pytest.fixture
def whole(tmp_path):
    randomise(Qwen2VL(UNTIED)).save_pretrained(tmp_path)
    return tmp_path


@pytest.fixture
def sharded(tmp_path):
    randomise(Qwen2VL(UNTIED)).save_pretrained(tmp_path, max_shard_size=SHARD)
    return tmp_path


def change_index(folder, change):
    index = json.loads((folder / INDEX).read_text())
    change(index["weight_map"])
    (folder / INDEX).write_text(json.dumps(index))


def change_weights(folder, change):
    tensors = load_file(folder / SINGLE)
    change(tensors)
    save_file(tensors, folder / SINGLE, metadata={"format": "pt"})


@CONFIGS
@pytest.mark.parametrize("max_shard_size", [10**9, SHARD], ids=["one file", "shards"])
def test_a_saved_model_comes_back_bit_for_bit(tmp_path, config, max_shard_size):
    model = randomise(Qwen2VL(config))
    model.save_pretrained(tmp_path, max_shard_size=max_shard_size)
    again = Qwen2VL.from_pretrained(str(tmp_path))
    assert again.config == config
    expected = model.state_dict()
    assert set(again.state_dict()) == set(expected)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in again.state_dict().items())
    assert all(parameter.requires_grad for parameter in again.parameters())
    assert (again.lm_head.weight is again.language_model.embed_tokens.weight) == config.tie_word_embeddings


def test_shards_hold_no_more_than_asked_and_the_index_names_every_tensor(sharded):
    index = json.loads((sharded / INDEX).read_text())
    files = sorted(sharded.glob("*.safetensors"))
    assert len(files) > 2
    assert [file.name for file in files] == sorted(set(index["weight_map"].values()))
    total = 0
    for file in files:
        with safe_open(file, framework="pt") as opened:
            tensors = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
        assert all(index["weight_map"][key] == file.name for key in tensors)
        size = sum(tensor.nbytes for tensor in tensors.values())
        assert size <= SHARD or len(tensors) == 1
        total += size
    assert index["metadata"]["total_size"] == total


def test_a_type_is_given_when_saving_and_when_loading(tmp_path):
    model = randomise(Qwen2VL(SMALL))
    model.save_pretrained(tmp_path, dtype="bfloat16")
    assert json.loads((tmp_path / "config.json").read_text())["torch_dtype"] == "bfloat16"
    assert Qwen2VL.from_pretrained(tmp_path, dtype=None).dtype == torch.bfloat16
    wide = Qwen2VL.from_pretrained(tmp_path, dtype="float32")
    assert wide.dtype == torch.float32
    assert torch.equal(wide.lm_head.weight, model.lm_head.weight.bfloat16().float())
    with pytest.raises(ConfigError, match="int4"):
        Qwen2VL.from_pretrained(tmp_path, dtype="int4")


def test_saving_again_leaves_nothing_of_the_save_before(sharded):
    model = Qwen2VL.from_pretrained(sharded)
    model.save_pretrained(sharded)
    assert {path.name for path in sharded.iterdir()} == {SINGLE, "config.json", "generation_config.json"}
    model.save_pretrained(sharded, max_shard_size=SHARD)
    assert not (sharded / SINGLE).exists()
    assert torch.equal(Qwen2VL.from_pretrained(sharded).lm_head.weight, model.lm_head.weight)


def test_a_model_can_be_saved_over_the_file_that_it_is_mapped_from(whole):
    model = Qwen2VL.from_pretrained(whole, dtype=None)
    expected = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.save_pretrained(whole)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in model.state_dict().items())
    again = Qwen2VL.from_pretrained(whole).state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in again.items())


def test_names_in_the_file_and_in_memory_are_one_to_one():
    names = [name for name, _ in Qwen2VL(UNTIED).named_parameters()]
    assert len({published_name(name) for name in names}) == len(names)
    assert [memory_name(published_name(name)) for name in names] == names
    assert memory_name("model.language_model.norm.weight") == "language_model.norm.weight"
    assert memory_name("model.visual.merger.mlp.2.bias") == "visual.merger.fc2.bias"


def test_a_tied_head_that_is_in_the_file_must_be_the_embedding(tmp_path):
    randomise(Qwen2VL(SMALL)).save_pretrained(tmp_path)
    change_weights(tmp_path, lambda t: t.update({"lm_head.weight": t["model.embed_tokens.weight"].clone()}))
    assert Qwen2VL.from_pretrained(tmp_path).config.tie_word_embeddings
    change_weights(tmp_path, lambda t: t["lm_head.weight"].add_(1))
    with pytest.raises(CheckpointError, match="is not the embedding"):
        Qwen2VL.from_pretrained(tmp_path)


def test_a_missing_shard_is_named(sharded):
    (sharded / sorted(sharded.glob("*.safetensors"))[1].name).unlink()
    with pytest.raises(CheckpointError, match="lacks the shard model-00002-of-"):
        Qwen2VL.from_pretrained(sharded)


@pytest.mark.parametrize("name", ["../model.safetensors", "/etc/model.safetensors", "sub/model.safetensors", ".."])
def test_an_index_that_leads_out_of_the_folder_is_refused(sharded, name):
    change_index(sharded, lambda weights: weights.update({"lm_head.weight": name}))
    with pytest.raises(CheckpointError, match="expected files of the same folder"):
        Qwen2VL.from_pretrained(sharded)


def test_an_index_that_promises_what_a_shard_lacks_is_refused(sharded):
    first = sorted(sharded.glob("*.safetensors"))[0].name
    change_index(sharded, lambda weights: weights.update({"model.norm.weight": first}))
    with pytest.raises(CheckpointError, match=r"lacks model\.norm\.weight"):
        Qwen2VL.from_pretrained(sharded)


@pytest.mark.parametrize("kept", [0, 5, 3000, -1])
def test_a_truncated_file_is_refused(whole, kept):
    content = (whole / SINGLE).read_bytes()
    (whole / SINGLE).write_bytes(content[:kept])
    with pytest.raises(CheckpointError, match="cannot be read"):
        Qwen2VL.from_pretrained(whole)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.pop("model.norm.weight"), r"lack model\.norm\.weight"),
        (lambda t: t.update(extra=torch.zeros(2)), "hold extra"),
        (lambda t: t.update({"model.norm.weight": torch.zeros(3)}), r"shape \[3\]; config.json asks for \[64\]"),
        (lambda t: t.update({"model.norm.weight": torch.zeros(64, dtype=torch.int8)}), "stored as torch.int8"),
    ],
    ids=["missing", "unexpected", "shape", "type"],
)
def test_weights_that_do_not_fit_the_config_are_refused(whole, change, says):
    change_weights(whole, change)
    with pytest.raises(CheckpointError, match=says):
        Qwen2VL.from_pretrained(whole)


def test_a_folder_without_weights_is_refused(whole):
    (whole / SINGLE).unlink()
    with pytest.raises(CheckpointError, match="has neither"):
        Qwen2VL.from_pretrained(whole)


@pytest.mark.parametrize("content", ["", "{", "[]", "\xff"])
def test_a_damaged_config_is_refused(whole, content):
    (whole / "config.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(CheckpointError, match=r"config\.json"):
        Qwen2VL.from_pretrained(whole)


def test_an_index_without_a_map_is_refused(sharded):
    (sharded / INDEX).write_text("{}")
    with pytest.raises(CheckpointError, match="no weight_map"):
        Qwen2VL.from_pretrained(sharded)


def test_a_hub_id_without_a_network_is_a_clear_error(monkeypatch):
    def offline(*_, **__):
        raise LocalEntryNotFoundError("cannot reach the hub")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(CheckpointError, match="check the name and the network"):
        Qwen2VL.from_pretrained("Qwen/Qwen2-VL-2B-Instruct")


def test_a_hub_id_is_downloaded_and_loaded(monkeypatch, whole):
    asked = []

    def download(name, allow_patterns, revision):
        assert revision is None
        asked.append((name, allow_patterns))
        return str(whole)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert Qwen2VL.from_pretrained("someone/a-model").config == UNTIED
    assert asked == [("someone/a-model", ["*.json", "*.safetensors"])]
