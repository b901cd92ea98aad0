"""Small networks and made-up pictures and videos for the studies: what `scaling.py` and `mrope.py` train on."""

import time
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import torch

from qwen2vl_agent.data.packing import Batch, Row, pack
from qwen2vl_agent.model.config import Qwen2VLConfig, TextConfig, VisionConfig, preset
from qwen2vl_agent.model.inputs import ModelInputs
from qwen2vl_agent.model.mrope import mrope_positions
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.training.config import TrainConfig
from qwen2vl_agent.training.loss import target_loss
from qwen2vl_agent.training.optim import lr_at, make_optimizer, set_lr
from qwen2vl_agent.training.step import train_step

WORDS = 144
"""Ids below are words; those above stand for vision."""
SPECIAL = SimpleNamespace(
    image_pad=150, video_pad=151, vision_start=152, vision_end=153, vision_pad=154, endoftext=155, im_end=156
)
PATCH = 1176
MERGED = 4
"""Patches of a visual token."""


def network(width: int, layers: int, head: int = 16, rope_theta: float = 1e6) -> Qwen2VLConfig:
    """A network of `width`, with heads of `head` whose frequencies are shared out as in the published sizes."""
    turning = head // 2
    text = TextConfig(
        vocab_size=160,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=width // head,
        num_key_value_heads=width // head,
        intermediate_size=3 * width,
        mrope_section=(turning - 2 * (3 * turning // 8), 3 * turning // 8, 3 * turning // 8),
        max_window_layers=layers,
        rope_theta=rope_theta,
    )
    vision = VisionConfig(depth=1, embed_dim=width, num_heads=max(1, width // 16), mlp_ratio=2)
    return replace(preset("tiny").with_tokens(SPECIAL), text=text, vision=vision, tie_word_embeddings=True)


def textures(count: int, seed: int = 7) -> np.ndarray:
    """[count, 1176] patches to tell apart."""
    return np.random.default_rng(seed).standard_normal((count, PATCH)).astype(np.float32)


def seen(patches: np.ndarray, answer: list[int], config: Qwen2VLConfig, grid: tuple[int, int, int], video: bool) -> Row:
    """A picture or a video, and after it the answer that is to be predicted."""
    pad = SPECIAL.video_pad if video else SPECIAL.image_pad
    before = [SPECIAL.vision_start, *[pad] * (len(patches) // MERGED), SPECIAL.vision_end]
    ids, grids = torch.tensor(before + answer), [list(grid)]
    positions = mrope_positions(ids, *((), grids) if video else (grids, ()), config)
    pixels, where = torch.from_numpy(patches), torch.tensor(grids)
    vision = {"pixel_values_videos": pixels, "video_grid_thw": where} if video else {}
    still = {} if video else {"pixel_values": pixels, "image_grid_thw": where}
    return Row(ModelInputs(ids, positions, **vision, **still), torch.tensor([-100] * len(before) + answer), "made-up")


def train(model: Qwen2VL, batch_of: Callable[[int], Batch], config: TrainConfig) -> float:
    """Train on batches by their number until the steps are spent; gives seconds."""
    began, optimizer = time.perf_counter(), make_optimizer(model, config)
    assert config.steps
    for step in range(config.steps):
        set_lr(optimizer, lr_at(step, step / config.steps, config))
        train_step(model, optimizer, [batch_of(step)], config)
    return time.perf_counter() - began


@torch.no_grad()
def held_out_loss(model: Qwen2VL, batches: list[Batch]) -> float:
    """Nats a target."""
    sums = [target_loss(model, batch) for batch in batches]
    return sum(float(one.total) for one in sums) / sum(int(one.counts.sum()) for one in sums)


@torch.no_grad()
def accuracy(model: Qwen2VL, rows: list[Row]) -> float:
    """Part of the rows whose targets are all predicted."""
    right = 0
    for start in range(0, len(rows), 32):
        chosen = rows[start : start + 32]
        batch = pack(chosen)
        logits = model.lm_head(model.hidden_states(batch.inputs)[batch.targets.where])
        hits = logits.argmax(-1) == batch.targets.ids
        right += int(hits.view(len(chosen), -1).all(1).sum())
    return right / len(rows)
