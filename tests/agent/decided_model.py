"""A tiny random model that is surer of some tokens than of others."""

import dataclasses

import torch

from qwen2vl_agent.dialogue.processor import Processor
from qwen2vl_agent.model.config import TextConfig, VisionConfig, preset
from qwen2vl_agent.model.qwen2vl import Qwen2VL


def decided_model(processor: Processor) -> Qwen2VL:
    """With the processor's vocabulary, weights three times as large as they are initialised."""
    text = TextConfig(
        vocab_size=len(processor.tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        intermediate_size=48,
        mrope_section=(2, 3, 3),
        max_window_layers=2,
    )
    vision = VisionConfig(depth=1, embed_dim=32, num_heads=2)
    config = dataclasses.replace(preset("tiny"), text=text, vision=vision).with_tokens(processor.tokenizer.special)
    model = Qwen2VL(config, seed=0).eval()
    with torch.no_grad():  # as initialised, every token is about as likely as any other
        for weight in model.parameters():
            weight.mul_(3.0)
    return model
