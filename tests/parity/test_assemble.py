"""A model joined from a Qwen2 and a CLIP is both of them, number for number, as far as it has their parts."""

import io
import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file
from transformers import CLIPVisionConfig, CLIPVisionModel, Qwen2Config, Qwen2ForCausalLM
from transformers import Qwen2VLForConditionalGeneration as Reference

from qwen2vl_agent.cli import main
from qwen2vl_agent.dialogue.processor import Processor
from qwen2vl_agent.model.assemble import assemble, with_new_rows
from qwen2vl_agent.model.clip_checkpoint import read_tower
from qwen2vl_agent.model.inputs import ModelInputs
from qwen2vl_agent.model.layers import Rotary
from qwen2vl_agent.model.masks import Visibility, make_segments
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.model.tokenizer import SPECIAL_TEXTS, train_tokenizer
from qwen2vl_agent.schema.errors import CheckpointError

WIDTH, DEPTH, HEADS = 160, 3, 2
BYTES = 256
TO_OPEN_CLIP = (
    ("self_attn.out_proj", "attn.out_proj"),
    ("layer_norm1", "ln_1"),
    ("layer_norm2", "ln_2"),
    ("mlp.fc1", "mlp.c_fc"),
    ("mlp.fc2", "mlp.c_proj"),
)


def open_clip_names(clip: CLIPVisionModel) -> dict[str, torch.Tensor]:
    """The weights of transformers' vision model under the names that open_clip gives them."""
    theirs = {name.removeprefix("vision_model."): tensor for name, tensor in clip.state_dict().items()}
    made = {
        "conv1.weight": theirs["embeddings.patch_embedding.weight"],
        "class_embedding": theirs["embeddings.class_embedding"],
        "positional_embedding": theirs["embeddings.position_embedding.weight"],
        "proj": torch.randn(clip.config.hidden_size, 32),
    }
    for part in ("weight", "bias"):
        made[f"ln_pre.{part}"] = theirs[f"pre_layrnorm.{part}"]
        made[f"ln_post.{part}"] = theirs[f"post_layernorm.{part}"]
        for number in range(clip.config.num_hidden_layers):
            layer, block = f"encoder.layers.{number}.", f"transformer.resblocks.{number}."
            parts = [theirs[f"{layer}self_attn.{name}_proj.{part}"] for name in "qkv"]
            made[f"{block}attn.in_proj_{part}"] = torch.cat(parts)
            for old, new in TO_OPEN_CLIP:
                made[f"{block}{new}.{part}"] = theirs[f"{layer}{old}.{part}"]
    text = {"positional_embedding": torch.randn(77, 32), "logit_scale": torch.tensor(1.0)}
    return {f"visual.{name}": tensor.contiguous() for name, tensor in made.items()} | text


def randomised(model: torch.nn.Module) -> torch.nn.Module:
    """Random weights that matter: the library's own are so small that every block is nearly the identity."""
    generator = torch.Generator().manual_seed(1)
    for name, parameter in model.named_parameters():
        noise = torch.empty(parameter.shape).normal_(0, 0.1, generator=generator)
        parameter.data = 1 + noise if "norm" in name and name.endswith("weight") else noise
    return model.eval()


@pytest.fixture(scope="module")
def clip() -> CLIPVisionModel:
    config = CLIPVisionConfig(
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=DEPTH,
        num_attention_heads=HEADS,
        patch_size=14,
        image_size=56,
        hidden_act="quick_gelu",
        attn_implementation="eager",
    )
    return randomised(CLIPVisionModel(config))


def save_qwen2(folder: Path, tied: bool) -> Qwen2ForCausalLM:
    """A small Qwen2 with a tokenizer that has only the three special tokens Qwen2 has."""
    tokenizer = train_tokenizer(["the cat sat on the mat"], BYTES + len(SPECIAL_TEXTS))
    spec = json.loads(tokenizer.to_json())
    old = [token for token in spec["added_tokens"] if token["content"] in SPECIAL_TEXTS[:3]]
    spec["added_tokens"] = old
    config = Qwen2Config(
        vocab_size=BYTES + 3,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        rope_theta=1e6,
        tie_word_embeddings=tied,
    )
    model = randomised(Qwen2ForCausalLM(config))
    model.save_pretrained(folder)
    (folder / "tokenizer.json").write_text(json.dumps(spec))
    return model


@pytest.fixture(scope="module")
def parts(tmp_path_factory, clip) -> tuple[Path, Path]:
    """A folder with a Qwen2 and a file with a CLIP."""
    folder = tmp_path_factory.mktemp("parts")
    save_file(open_clip_names(clip), folder / "clip.safetensors")
    described = {"model_cfg": {"quick_gelu": True, "vision_cfg": {"head_width": WIDTH // HEADS}}}
    (folder / "open_clip_config.json").write_text(json.dumps(described))
    save_qwen2(folder / "qwen2", tied=False)
    return folder / "qwen2", folder / "clip.safetensors"


def test_two_equal_frames_give_what_the_2d_convolution_gives(parts, clip):
    model = assemble(*parts).model
    pixels = torch.randn(7, 3, 14, 14)
    twice = pixels[:, :, None].expand(-1, -1, 2, -1, -1).reshape(7, -1)
    expected = clip.get_input_embeddings()(pixels).flatten(1)
    torch.testing.assert_close(model.visual.patch_embed(twice), expected, atol=1e-5, rtol=0)


def test_every_block_gives_what_clips_block_gives_when_nothing_is_turned(parts, clip):
    blocks = assemble(*parts).model.visual.blocks
    layers = [module for module in clip.modules() if type(module).__name__ == "CLIPEncoderLayer"]
    assert len(blocks) == len(layers) == DEPTH
    still = Rotary(torch.ones(1, 11, 1, WIDTH // HEADS // 2), torch.zeros(1, 11, 1, WIDTH // HEADS // 2))
    sees = Visibility(segments=make_segments((11,), False, torch.device("cpu")))
    for number, (block, layer) in enumerate(zip(blocks, layers, strict=True)):
        hidden = torch.randn(11, WIDTH, generator=torch.Generator().manual_seed(number))
        with torch.no_grad():
            expected = layer(hidden[None], attention_mask=None)
            expected = expected[0] if isinstance(expected, tuple) else expected
            ours = block(hidden, still, sees)
        torch.testing.assert_close(ours, expected.view(11, WIDTH), atol=1e-4, rtol=0)
        assert (ours - hidden).abs().mean() > 0.1  # the block does something


@pytest.mark.parametrize("tied", [True, False])
def test_text_gets_the_logits_of_the_language_model(parts, tmp_path, tied):
    reference = save_qwen2(tmp_path / "qwen2", tied)
    model = assemble(tmp_path / "qwen2", parts[1]).model
    ids = torch.randint(0, BYTES + 3, (20,), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ours = model(ModelInputs(ids, torch.arange(20).expand(3, 20)))
        theirs = reference(ids[None]).logits[0]
    torch.testing.assert_close(ours[:, : BYTES + 3], theirs, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_the_command_writes_a_checkpoint_that_both_libraries_load(parts, clip, tmp_path, capsys, kind):
    llm, vision = parts
    if kind == "bin":
        vision = tmp_path / "open_clip_pytorch_model.bin"
        named = {f"module.{name}": tensor for name, tensor in open_clip_names(clip).items()}
        torch.save({"state_dict": named}, vision)
    out = tmp_path / "out"
    flags = ["--llm", str(llm), "--vision", str(vision), "--out", str(out), "--dtype", "float32", "--json"]
    assert main(["init", *flags, "--vision-heads", str(HEADS)]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    reference, report = Reference.from_pretrained(out, dtype="auto", output_loading_info=True)
    assert not any(report.values()), report
    model, processor = Qwen2VL.from_pretrained(out), Processor.from_pretrained(out)
    assert told["parameters"] == sum(p.numel() for p in model.parameters())
    special = [getattr(processor.tokenizer.special, text[2:-2]) for text in SPECIAL_TEXTS]
    assert special == list(range(BYTES, BYTES + 14))  # in the published order, after the vocabulary
    assert model.config.image_token_id == processor.tokenizer.special.image_pad == reference.config.image_token_id
    file = io.BytesIO()
    Image.new("RGB", (70, 60), (200, 30, 90)).save(file, "PNG")
    parts_of = [{"type": "image", "image": file.getvalue()}, {"type": "text", "text": "the cat"}]
    inputs = processor([{"role": "user", "content": parts_of}])
    with torch.no_grad():
        ours = model(inputs)
        theirs = reference(
            input_ids=inputs.input_ids[None],
            position_ids=inputs.position_ids[:, None],
            pixel_values=inputs.pixel_values,
            image_grid_thw=inputs.image_grid_thw,
            mm_token_type_ids=(inputs.input_ids == model.config.image_token_id).long()[None],
        ).logits[0]
    torch.testing.assert_close(ours, theirs, atol=2e-4, rtol=2e-4)
    assert main(["init", *flags]) == 2  # the folder is not empty any more


def test_the_mergers_norm_is_ln_post_and_what_has_no_place_is_said(parts, clip):
    made = assemble(*parts)
    merger = made.model.visual.merger
    post = next(module for name, module in clip.named_modules() if name.endswith("post_layernorm"))
    assert torch.equal(merger.ln_q.weight, post.weight)
    assert torch.equal(merger.ln_q.bias, post.bias)
    assert 0.015 < merger.fc1.weight.std() < 0.025
    notes = "\n".join(made.notes)
    assert "class_embedding, positional_embedding, proj, ln_pre.weight, ln_pre.bias" in notes
    assert "ln_post" in notes
    again = assemble(*parts).model.visual.merger
    assert torch.equal(merger.fc1.weight, again.fc1.weight)


def test_rows_of_new_tokens_stand_near_the_mean_and_are_all_different():
    rows = torch.randn(300, 16) * torch.linspace(0.5, 2, 16) + 3
    made = with_new_rows(rows, ["a"] * 11, 300, torch.Generator().manual_seed(0))
    assert torch.equal(made[:289], rows[:289])
    assert ((made[289:] - rows[:289].mean(0)).abs() < 0.6 * rows[:289].std(0)).all()
    assert len(made[289:].unique(dim=0)) == 11
    grown = with_new_rows(rows[:289], ["a"] * 11, 300, torch.Generator().manual_seed(0))
    assert grown.shape == (384, 16)
    assert F.cosine_similarity(grown[289:], rows.mean(0)[None]).min() > 0.9


def test_other_files_are_refused_in_one_line(parts, tmp_path):
    llm, vision = parts
    (tmp_path / "text.safetensors").write_text("no weights")
    (tmp_path / "text.bin").write_text("no weights")
    save_file({"visual.trunk.x": torch.zeros(2)}, tmp_path / "other.safetensors")
    for name in ("missing.bin", "text.safetensors", "text.bin", "other.safetensors"):
        with pytest.raises(CheckpointError, match=name):
            read_tower(tmp_path / name)
    tensors = {"visual.conv1.weight": torch.zeros(1280, 3, 16, 16)}
    save_file(tensors, tmp_path / "b16.safetensors")
    with pytest.raises(CheckpointError, match="14 x 14"):
        read_tower(tmp_path / "b16.safetensors")
    (tmp_path / "vl").mkdir()
    (tmp_path / "vl" / "config.json").write_text('{"model_type": "qwen2_vl"}')
    with pytest.raises(CheckpointError, match="expected a Qwen2"):
        assemble(tmp_path / "vl", vision)
    with pytest.raises(CheckpointError, match="--vision-heads"):
        assemble(llm, vision, num_heads=7)
