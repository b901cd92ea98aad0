"""transformers' Qwen2-VL as the reference: small, random, in float32, written with its own `save_pretrained`."""

from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import torch
from model_sequences import randomise
from transformers import Qwen2VLConfig as ReferenceConfig
from transformers import Qwen2VLForConditionalGeneration as Reference
from transformers.utils import logging

from qwen2vl_agent.model.config import Qwen2VLConfig
from qwen2vl_agent.model.inputs import ModelInputs
from qwen2vl_agent.model.qwen2vl import Qwen2VL

logging.disable_progress_bar()


def reference_model(config: Qwen2VLConfig, seed: int = 0) -> Reference:
    """A random reference model of this shape; it never stops by itself."""
    model = Reference(ReferenceConfig(**config.to_hf())).float().eval()
    randomise(model, seed)
    model.generation_config.eos_token_id = None
    model.generation_config.pad_token_id = config.pad_token_id
    return model


@cache
def pair(config: Qwen2VLConfig) -> tuple[Qwen2VL, Reference]:
    """Our model and the reference with the same weights, which went through the reference's `save_pretrained`."""
    folder = Path(mkdtemp())
    reference = reference_model(config)
    reference.save_pretrained(folder)
    ours = Qwen2VL.from_pretrained(folder)
    return ours, reference


def reference_arguments(inputs: ModelInputs, config: Qwen2VLConfig) -> dict[str, torch.Tensor]:
    """What the reference's forward takes; positions are left for it to find."""
    ids = inputs.input_ids if inputs.batched else inputs.input_ids[None]
    kinds = (ids == config.image_token_id).int() + 2 * (ids == config.video_token_id).int()
    mask = torch.ones_like(ids) if inputs.attention_mask is None else inputs.attention_mask.long()
    arguments = {
        "input_ids": ids,
        "attention_mask": mask,
        "mm_token_type_ids": kinds,
        "pixel_values": inputs.pixel_values,
        "image_grid_thw": inputs.image_grid_thw,
        "pixel_values_videos": inputs.pixel_values_videos,
        "video_grid_thw": inputs.video_grid_thw,
    }
    return {name: value for name, value in arguments.items() if value is not None}
