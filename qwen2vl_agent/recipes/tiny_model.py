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
SECTIONS = (2, 4, 26)
"""Pairs of a head that turn with time, rows and columns, fastest first. With the preset's 8, 12, 12 and the published
base a picture's columns turn by 0.0002 a token, which is to say not at all; so they turn by 0.08, and rows by 0.4,
while the slow pairs, which compare words from afar, are as they were."""


def create(recipe: Any, processor: Processor) -> Qwen2VL:
    """A new model with the processor's vocabulary."""
    model = Qwen2VL(shape(processor))
    initialise_small(model, recipe.seed)
    return model


def shape(processor: Processor) -> Qwen2VLConfig:
    """The preset, for the processor's vocabulary."""
    config = preset("tiny").with_tokens(processor.tokenizer.special)
    text = dataclasses.replace(config.text, vocab_size=len(processor.tokenizer), mrope_section=SECTIONS)
    return dataclasses.replace(config, text=text)


def load(folder: Path) -> Qwen2VL:
    """The weights of an earlier stage, in float32 to train on."""
    return Qwen2VL.from_pretrained(folder, dtype="float32")
