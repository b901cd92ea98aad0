"""The part of the network that one pipeline stage holds, under the names that the parameters have in the whole."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from qwen2vl_agent.data.packing import Batch
from qwen2vl_agent.model.layers import Rotary, text_rotary
from qwen2vl_agent.model.masks import text_visibility
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.training.loss import LossSums, hidden_loss
from qwen2vl_agent.training.parallel import collectives, vocabulary
from qwen2vl_agent.training.parallel.layout import Layout, held_layers


class SplitQkv(nn.Linear):
    """The vision encoder's fused projection with its rows in another order, so that a stretch of them is whole heads.

    The published rows are all queries, all keys, all values. Here row 3 w + j is row w of the queries, keys or values
    (j 0, 1, 2); the output is in the published order again.
    """

    def forward(self, x_PD: Tensor) -> Tensor:
        out = super().forward(x_PD)
        return out.unflatten(-1, (-1, 3)).transpose(-1, -2).flatten(-2)


def interleaved(rows: Tensor) -> Tensor:
    """The published order of the rows to that of `SplitQkv`."""
    return rows.unflatten(0, (3, -1)).transpose(0, 1).flatten(0, 1)


def published(rows: Tensor) -> Tensor:
    """The order of the rows of `SplitQkv` to the published one."""
    return rows.unflatten(0, (-1, 3)).transpose(0, 1).flatten(0, 1)


class Stage(Qwen2VL):
    """What one process runs. With one stage it is the whole network; parts that are elsewhere are None."""

    def __init__(self, model: Qwen2VL, layout: Layout, number: int) -> None:
        """Takes its parts from `model`, which is of no use afterwards."""
        nn.Module.__init__(self)
        self.config = model.config
        self.first, self.last = number == 0, number == layout.pp - 1
        self.partial: set[str] = set()
        """Parameters whose gradient is a summand of the tensor-parallel processes'."""
        self.group: Any = None
        """The tensor-parallel processes; None for one."""
        self.cut_vision = False
        """Whether each of those processes has some heads of the vision encoder and, between them, its own patches."""
        self.cut_vocabulary = False
        """Whether each of those processes has a stretch of the vocabulary only."""
        self.computes_in = torch.float32
        """Type of the products."""
        self.logits_chunk = 8192
        self.done: list[LossSums] = []
        """What the last stage found, micro-batch by micro-batch, since it was last emptied."""
        whole = model.language_model
        tied_head = self.last and self.config.tie_word_embeddings
        self.visual: Any = model.visual if self.first else None
        self.language_model: Any = _Parts()
        self.language_model.embed_tokens = whole.embed_tokens if self.first or tied_head else None
        self.chunks = held_layers(self.config, layout, number)
        """Layers of each pipeline stage that is here; one, unless stages are interleaved."""
        layers = [index for chunk in self.chunks for index in chunk]
        self.language_model.layers = nn.ModuleDict({str(index): whole.layers[index] for index in layers})
        self.language_model.norm = whole.norm if self.last else None
        self.lm_head: Any = model.lm_head if self.last else None
        if self.visual is not None:
            for block in self.visual.blocks:
                _split_qkv(block.attn)

    def forward(  # type: ignore[override]
        self, x: Tensor, batch: Batch, total_weight: float, chunk: int = 0
    ) -> Tensor:
        """Ids `[T]` or the stage before's `[1, T / parts, D]` to `[1, T / parts, D]`, or to the loss in the last stage.

        `chunk`: which of the stages that are here. The loss is this micro-batch's summand of the step's mean over all
        targets.
        """
        half = self.computes_in is torch.bfloat16
        with torch.autocast(batch.inputs.input_ids.device.type, torch.bfloat16, enabled=half):
            return self._through(x, batch, total_weight, chunk)

    def _through(self, x: Tensor, batch: Batch, total_weight: float, chunk: int) -> Tensor:
        inputs = batch.inputs
        x_BTD = self.enter(self.embed(inputs)) if self.first and chunk == 0 else x
        tokens, device = inputs.input_ids.numel(), inputs.input_ids.device
        sees = text_visibility(tokens, segment_lengths=inputs.segment_lengths, device=device)
        rotary = self.rotary(inputs.position_ids[:, None])
        for index in self.chunks[chunk]:
            x_BTD = self.language_model.layers[str(index)](x_BTD, rotary, sees)
        if not self.last or chunk < len(self.chunks) - 1:
            return x_BTD
        sums = self._loss(self.leave(self.language_model.norm(x_BTD))[0], batch)
        self.done.append(replace(sums, total=sums.total.detach()))
        return sums.total / total_weight

    def rotary(self, positions_3BT: Tensor) -> Rotary:
        """M-RoPE's tables in float32, whatever the weights' type: not every stage has the embedding."""
        text = self.config.text
        return text_rotary(positions_3BT, text.mrope_section, text.rope_theta, torch.float32)

    def enter(self, x_BTD: Tensor) -> Tensor:
        """Each process its own tokens."""
        return x_BTD if self.group is None else collectives.split(x_BTD, self.group)

    def leave(self, x_BTD: Tensor) -> Tensor:
        """All tokens, on every process."""
        if self.group is None:
            return x_BTD
        return (collectives.gather if self.cut_vocabulary else collectives.unite)(x_BTD, self.group)

    def _loss(self, hidden_TD: Tensor, batch: Batch) -> LossSums:
        return hidden_loss(hidden_TD, batch, self._cross_entropy, self.logits_chunk)

    def _cross_entropy(self, hidden_ND: Tensor, ids_N: Tensor) -> Tensor:
        logits = self.lm_head(hidden_ND).float()
        if not self.cut_vocabulary:
            return nn.functional.cross_entropy(logits, ids_N, reduction="none")
        return vocabulary.cross_entropy(logits, ids_N, self.group)


class _Parts(nn.Module):
    """What a stage has of the language model."""

    embed_tokens: Any
    layers: nn.ModuleDict
    norm: Any


def _split_qkv(attention: Any) -> None:
    qkv = attention.qkv
    for name in ("weight", "bias"):
        qkv._parameters[name] = nn.Parameter(interleaved(qkv._parameters[name].detach()))
    qkv.__class__ = SplitQkv
