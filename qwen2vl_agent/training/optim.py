"""The optimizer, its groups, and the learning rate's course."""

import math
from typing import Any

import torch
from torch import nn
from torch.optim import AdamW, Optimizer

from qwen2vl_agent.training.config import TrainConfig
from qwen2vl_agent.training.muon import MuonAdamW
from qwen2vl_agent.training.parallel.replicas import Replicas


def make_optimizer(model: nn.Module, config: TrainConfig, replicas: Replicas | None = None) -> Optimizer:
    """The optimizer over the trainable parameters, grouped by weight decay and learning-rate factor.

    Each group carries its `factor`, by which `set_lr` multiplies the rate of the moment.
    """
    plain = _without_decay(model)
    muon = _for_muon(model) if config.optimizer == "muon" else set()
    groups: dict[tuple[bool, float, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            factor = next((factor for prefix, factor in config.lr_factors if name.startswith(prefix)), 1.0)
            key = (id(parameter) not in plain, factor, id(parameter) in muon)
            groups.setdefault(key, []).append(parameter)
    described: list[dict[str, Any]] = [
        {"params": parameters, "weight_decay": config.weight_decay if decays else 0.0, "factor": factor, "muon": on}
        for (decays, factor, on), parameters in groups.items()
    ]
    if config.optimizer == "muon":
        return MuonAdamW(described, lr=config.lr, betas=config.betas, eps=config.eps, replicas=replicas)
    return AdamW(described, lr=config.lr, betas=config.betas, eps=config.eps, fused=True)


def _without_decay(model: nn.Module) -> set[int]:
    """Identities of norms', biases' and embeddings' parameters (a tied head is its embedding)."""
    plain = {id(parameter) for parameter in model.parameters() if parameter.dim() < 2}
    embeddings = (module for module in model.modules() if isinstance(module, nn.Embedding))
    return plain | {id(parameter) for module in embeddings for parameter in module.parameters()}


def _for_muon(model: nn.Module) -> set[int]:
    """Identities of the matrices between hidden layers: not embeddings, heads or the patch filters."""
    plain = _without_decay(model)
    return {
        id(parameter)
        for name, parameter in model.named_parameters()
        if parameter.dim() == 2 and id(parameter) not in plain and not name.startswith(("lm_head.", "heads."))
    }


def lr_at(step: int, spent: float, config: TrainConfig) -> float:
    """The learning rate of step `step` (from 0) when the part `spent` of the run is over: warm-up, then a cosine.

    Worked example, lr 1, warmup_steps 4, floor 0.1: step 0 -> 0.25, step 3 -> 1; spent 0.5 -> 0.55; spent 1 -> 0.1.
    """
    warm = min(1.0, (step + 1) / max(1, config.warmup_steps))
    floor = config.min_lr_ratio
    return config.lr * warm * (floor + (1 - floor) * (1 + math.cos(math.pi * spent)) / 2)


def set_lr(optimizer: Optimizer, lr: float) -> None:
    """Give every group its rate."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["factor"]


class MovingAverage:
    """An exponential moving average of a model's trainable parameters."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._decay = decay
        self._live = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
        self.shadow = {name: parameter.detach().clone() for name, parameter in self._live.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move towards the weights of now; quicker in the first steps, so that the start is soon forgotten."""
        decay = min(self._decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.shadow.values()), list(self._live.values()), 1 - decay)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the average and the weights; a second call undoes it."""
        for name, parameter in self._live.items():
            kept = parameter.clone()
            parameter.copy_(self.shadow[name])
            self.shadow[name].copy_(kept)
