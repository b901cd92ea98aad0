"""The networks that `inference.py` measures: ours with random weights, and transformers' around the same tensors."""

import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from qwen2vl_agent.model.config import Qwen2VLConfig
from qwen2vl_agent.model.hf_checkpoint import memory_name, published_name
from qwen2vl_agent.model.qwen2vl import Qwen2VL


@torch.no_grad()
def random_model(config: Qwen2VLConfig, dtype: torch.dtype = torch.bfloat16) -> Qwen2VL:
    """A network of random weights."""
    with torch.device("meta"):
        model = Qwen2VL(config)
    model = model.to(dtype).to_empty(device="cpu")
    model.tie_weights()
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1:
            parameter.fill_(0.0 if name.endswith("bias") else 1.0)
        else:
            parameter.normal_(0.0, 0.02)
    return model.eval().requires_grad_(False)


def loaded(config: Qwen2VLConfig, dtype: torch.dtype, folder: Path) -> Qwen2VL:
    """A network of random weights as people load theirs: written once into `folder`, mapped from there."""
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as draft:
            random_model(config, dtype).save_pretrained(Path(draft) / "checkpoint")
            (Path(draft) / "checkpoint").rename(folder)
    return Qwen2VL.from_pretrained(folder, dtype).eval().requires_grad_(False)


def copied(model: Qwen2VL) -> Qwen2VL:
    """The same tensors in a network of its own, so that its layers can be replaced."""
    with torch.device("meta"):
        other = Qwen2VL(model.config)
    other.load_state_dict(model.state_dict(), assign=True)
    other.tie_weights()
    return other.eval().requires_grad_(False)


def peer_of(model: Qwen2VL) -> Any:
    """transformers' network around the same tensors."""
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration
    from transformers.initialization import no_init_weights

    with no_init_weights():
        peer = Qwen2VLForConditionalGeneration(Qwen2VLConfig(**model.config.to_hf()))
    named = {published_name(name): value for name, value in model.state_dict().items()}
    for name, value in list(peer.named_parameters(remove_duplicate=False)):
        module, _, last = name.rpartition(".")
        published = published_name(memory_name(name))
        weight = nn.Parameter(named[published].view(value.shape), requires_grad=False)
        setattr(peer.get_submodule(module), last, weight)
    return peer.eval()
