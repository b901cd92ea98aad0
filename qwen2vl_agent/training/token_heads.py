"""Teaches a vision encoder by asking of every token what it shows; the linear heads that answer are thrown away."""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from qwen2vl_agent.data.marked import MarkedBatch
from qwen2vl_agent.data.synthetic.marks import (
    ABSENT,
    BLANK,
    COUNTED,
    DIGITS,
    KINDS,
    LETTER_CLASSES,
    PATCHES,
    ROLES,
    SLOTS,
    SPELLED,
)
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.training.loss import LossSums

HEADS_FILE = "token_heads.safetensors"
NOTHING_WEIGHT = 0.1
"""Of the classes `no letter` and `no icon`, which are most of what there is."""
SHARES = {
    "patches": 1.0,
    "letters": 0.5,
    "spelled": 1.5,
    "begun": 0.3,
    "bag": 1.0,
    "label": 1.5,
    "icon": 0.5,
    "role": 0.2,
    "state": 0.5,
    "place": 0.5,
}
"""What each question counts in the loss."""
BAG_SCALE = 0.2
"""So that the letters of a bag count together as one question does."""
DIGIT_WEIGHTS = (1.0, 0.6, 0.1) * 2
"""Of hundreds, tens and units of a place: a tap need not hit the middle."""


class TokenReader(nn.Module):
    """A model's vision encoder with a linear head for each question."""

    def __init__(self, model: Qwen2VL, icons: int) -> None:
        super().__init__()
        self.model = model
        vision, width = model.config.vision.embed_dim, model.config.text.hidden_size
        sizes = {
            "letters": PATCHES * SLOTS * LETTER_CLASSES,
            "icon": 1 + icons,
            "role": len(ROLES),
            "state": 3,
            "place": DIGITS * 10,
            "bag": LETTER_CLASSES,
            "label": LETTER_CLASSES,
            "spelled": KINDS * SPELLED * LETTER_CLASSES,
            "begun": KINDS * COUNTED,
        }
        heads = {name: nn.Linear(width, size) for name, size in sizes.items()}
        self.heads = nn.ModuleDict({"patches": nn.Linear(vision, SLOTS * LETTER_CLASSES), **heads})

    def answers(self, batch: MarkedBatch) -> dict[str, Tensor]:
        """Logits by question; classes in the last dimension, slots, digits or letters before it."""
        x_PD = self.model.visual.patches(batch.pixel_values, batch.image_grid_thw)
        x_ND = self.model.visual.merger(x_PD)
        inputs = {name: F.layer_norm(x_ND, x_ND.shape[-1:]) for name in self.heads}
        inputs["patches"] = F.layer_norm(x_PD, x_PD.shape[-1:])
        flat = {name: head(inputs[name]).float() for name, head in self.heads.items()}
        slots = {"patches": SLOTS, "letters": PATCHES * SLOTS, "spelled": KINDS * SPELLED, "begun": KINDS}
        slots["place"] = DIGITS
        return {name: x.unflatten(-1, (slots[name], -1)) if name in slots else x for name, x in flat.items()}

    def save_pretrained(self, folder: Path | str) -> None:
        """The model, and the heads beside it."""
        self.model.save_pretrained(folder)
        save_file({name: value.contiguous() for name, value in self.heads.state_dict().items()}, _heads(folder))

    @classmethod
    def from_pretrained(cls, folder: Path | str, dtype: str = "float32") -> "TokenReader":
        """What `save_pretrained` wrote."""
        weights = load_file(_heads(folder))
        reader = cls(Qwen2VL.from_pretrained(folder, dtype), len(weights["icon.bias"]) - 1)
        reader.heads.load_state_dict(weights)
        return reader


def reading_loss(reader: Any, batch: MarkedBatch, chunk: int = 0) -> LossSums:
    """The weighted mean of all questions' losses, for each picture; the questions are told apart as sources are."""
    answers = reader.answers(batch)
    targets = {**batch.targets, "patches": batch.targets["letters"].view(-1, SLOTS)}
    means = torch.stack([_question_loss(name, answers[name], targets[name]) for name in SHARES])
    shares = torch.tensor(list(SHARES.values()), device=means.device)
    counts = torch.full((len(SHARES),), batch.num_examples, device=means.device)
    return LossSums(tuple(SHARES), (means * shares).sum() * batch.num_examples, means.detach() * counts, counts)


def _question_loss(name: str, logits: Tensor, classes: Tensor) -> Tensor:
    """Mean cross-entropy over the tokens that have an answer."""
    if name in ("bag", "label"):
        return _bag_loss(logits, classes)
    flat, wanted = logits.flatten(0, -2), classes.flatten()
    if name in ("patches", "letters", "spelled", "icon"):
        weights = torch.ones(flat.shape[-1], device=flat.device)
        weights[BLANK] = NOTHING_WEIGHT
        return F.cross_entropy(flat, wanted, weights, ignore_index=ABSENT)
    losses = F.cross_entropy(flat, wanted, ignore_index=ABSENT, reduction="none")
    counted = (wanted != ABSENT).float()
    if name == "place":
        counted = counted * torch.tensor(DIGIT_WEIGHTS, device=flat.device).repeat(len(classes))
    return (losses * counted).sum() / counted.sum().clamp(min=1.0)


def _bag_loss(logits: Tensor, bags: Tensor) -> Tensor:
    """Cross-entropy of each letter, there or not: summed over the letters, and the mean of the tokens with a text."""
    losses = F.binary_cross_entropy_with_logits(logits, bags.float(), reduction="none").sum(-1)
    with_text = bags.any(-1).float()
    weights = with_text + NOTHING_WEIGHT * (1 - with_text)
    return BAG_SCALE * (losses * weights).sum() / weights.sum()


def _heads(folder: Path | str) -> Path:
    return Path(folder) / HEADS_FILE
