"""The embedded model's shape, its first weights, and how its agent is to be set up."""

import dataclasses
from pathlib import Path
from typing import Any

import torch

from qwen2vl_agent.dialogue.processor import Processor
from qwen2vl_agent.model.config import Qwen2VLConfig, preset
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.recipes.small_weights import initialise_small

PIXEL_DTYPE = torch.bfloat16


def create(recipe: Any, processor: Processor) -> Qwen2VL:
    """A new model with the processor's vocabulary."""
    model = Qwen2VL(shape(processor))
    initialise_small(model, recipe.seed)
    return model


def shape(processor: Processor) -> Qwen2VLConfig:
    """The preset, for the processor's vocabulary."""
    config = preset("tiny").with_tokens(processor.tokenizer.special)
    return dataclasses.replace(config, text=dataclasses.replace(config.text, vocab_size=len(processor.tokenizer)))


def load(folder: Path) -> Qwen2VL:
    """The weights of an earlier stage, in float32 to train on."""
    return Qwen2VL.from_pretrained(folder, dtype="float32")
