"""`init` in true sizes, checked against transformers: `python benchmarks/true_size_init.py [FOLDER]`.

A random Qwen2 of 1.5 B and a random CLIP ViT-H/14 under open_clip's names become a Qwen2-VL, which both libraries load.
It needs 10 GB of disk, 8 GB of memory and some minutes.
"""

import json
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2VLForConditionalGeneration,
)

from qwen2vl_agent.cli import main
from qwen2vl_agent.dialogue.processor import Processor
from qwen2vl_agent.model.layers import Rotary
from qwen2vl_agent.model.masks import Visibility, make_segments
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.model.tokenizer import SPECIAL_TEXTS

TESTS = Path(__file__).parent.parent / "tests"
VIT_H = {"hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 16}
QWEN2 = {"hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28, "num_attention_heads": 12,
         "num_key_value_heads": 2, "vocab_size": 151_936}  # fmt: skip
SPREAD = 0.02
"""Deviation of the random weights: about that of trained ones of these widths."""


def random_(model: torch.nn.Module) -> torch.nn.Module:
    for name, parameter in model.named_parameters():
        parameter.data.normal_(0, SPREAD)
        if "norm" in name and name.endswith("weight"):
            parameter.data += 1
    return model.eval()


def write_qwen2(folder: Path) -> None:
    """With Qwen2's own tokenizer, less what Qwen2-VL added to it."""
    from qwen_vocabulary import qwen2_folder

    config = Qwen2Config(**QWEN2, rope_theta=1e6, tie_word_embeddings=True)
    torch.set_default_dtype(torch.bfloat16)
    random_(Qwen2ForCausalLM(config)).save_pretrained(folder)
    torch.set_default_dtype(torch.float32)
    spec = json.loads((qwen2_folder() / "tokenizer.json").read_text("utf-8"))
    spec["added_tokens"] = [token for token in spec["added_tokens"] if token["content"] in SPECIAL_TEXTS[:3]]
    (folder / "tokenizer.json").write_text(json.dumps(spec), "utf-8")


def check(out: Path, clip: CLIPVisionModel) -> None:
    """Both libraries load it; the patch convolution and every block are CLIP's."""
    reference, report = Qwen2VLForConditionalGeneration.from_pretrained(out, dtype="auto", output_loading_info=True)
    assert not any(report.values()), report
    parameters = sum(parameter.numel() for parameter in reference.parameters())
    del reference
    ids = Processor.from_pretrained(out).tokenizer.special
    print(f"transformers loads {parameters / 1e9:.2f} B parameters, nothing missing, nothing left over; "
          f"<|image_pad|> is {ids.image_pad}")  # fmt: skip
    visual = Qwen2VL.from_pretrained(out, dtype=None).visual.float()
    pixels = torch.randn(16, 3, 14, 14)
    twice = pixels[:, :, None].expand(-1, -1, 2, -1, -1).reshape(16, -1)
    with torch.no_grad():
        off = (visual.patch_embed(twice) - clip.get_input_embeddings()(pixels).flatten(1)).abs().max()
        print(f"two equal frames: {off:.1e} from the 2D convolution")
        assert off < 1e-5
        still = Rotary(torch.ones(1, 24, 1, 40), torch.zeros(1, 24, 1, 40))
        sees, worst = Visibility(segments=make_segments((24,), False, torch.device("cpu"))), 0.0
        layers = [module for module in clip.modules() if type(module).__name__ == "CLIPEncoderLayer"]
        for block, layer in zip(visual.blocks, layers, strict=True):
            hidden = torch.randn(24, VIT_H["hidden_size"])
            theirs = layer(hidden[None], attention_mask=None)
            theirs = theirs[0] if isinstance(theirs, tuple) else theirs
            worst = max(worst, (block(hidden, still, sees) - theirs.view_as(hidden)).abs().max().item())
        print(f"{len(layers)} blocks on equal hidden states: at most {worst:.1e} from CLIP's")
        assert worst < 1e-4


def run(folder: Path) -> None:
    sys.path += [str(TESTS), str(TESTS / "parity")]
    from test_assemble import open_clip_names

    torch.manual_seed(0)
    config = CLIPVisionConfig(**VIT_H, patch_size=14, image_size=224, hidden_act="quick_gelu")
    config._attn_implementation = "eager"
    clip = random_(CLIPVisionModel(config))
    for parameter in clip.parameters():  # as the file has them after init's bfloat16
        parameter.data = parameter.data.bfloat16().float()
    save_file(open_clip_names(clip), folder / "clip.safetensors")
    described = {"model_cfg": {"quick_gelu": True, "vision_cfg": {"head_width": 80}}}
    (folder / "open_clip_config.json").write_text(json.dumps(described))
    write_qwen2(folder / "qwen2")
    flags = ["--llm", str(folder / "qwen2"), "--vision", str(folder / "clip.safetensors"), "--out", str(folder / "out")]
    assert main(["init", *flags]) == 0
    check(folder / "out", clip)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        Path(sys.argv[1]).mkdir(parents=True)
        run(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as name:
            run(Path(name))
