"""Muon for the matrices inside the network, AdamW for the rest, as one optimizer.

A small model trained from nothing leaves its first plateau in fewer steps so (`docs/log.md`).
Source: K. Jordan, "Muon: an optimizer for hidden layers in neural networks"; torch's implementation.
"""

from typing import Any

import torch
from torch.optim import AdamW, Muon, Optimizer

from qwen2vl_agent.training.parallel.replicas import Replicas
from qwen2vl_agent.training.shared_muon import SharedMuon


class MuonAdamW(Optimizer):
    """Two optimizers behind one: groups with `muon=True` hold matrices only."""

    def __init__(
        self,
        groups: list[dict[str, Any]],
        *,
        lr: float,
        betas: tuple[float, float],
        eps: float,
        replicas: Replicas | None = None,
    ) -> None:
        """`replicas` share the work of Muon."""
        adam = [_without_mark(group) for group in groups if not group["muon"]]
        muon = [_without_mark(group) for group in groups if group["muon"]]
        self._parts: list[Optimizer] = []
        if adam:
            self._parts.append(AdamW(adam, lr=lr, betas=betas, eps=eps, fused=True))
        if muon:
            settings: dict[str, Any] = {"lr": lr, "momentum": 0.95, "adjust_lr_fn": "match_rms_adamw"}
            self._parts.append(SharedMuon(muon, replicas, **settings))
        super().__init__([group for part in self._parts for group in part.param_groups], {"lr": lr})
        for part in self._parts:  # the same dictionaries, so that a rate set on one is set on both
            part.param_groups = [group for group in self.param_groups if group["part"] == _mark(part)]

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Both optimizers' steps."""
        assert closure is None, "closures are not supported"
        for part in self._parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """The states of both."""
        return {"parts": [part.state_dict() for part in self._parts]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore both."""
        for part, kept in zip(self._parts, state["parts"], strict=True):
            part.load_state_dict(kept)
        self.param_groups = [group for part in self._parts for group in part.param_groups]


def _mark(part: Optimizer) -> str:
    return "Muon" if isinstance(part, Muon) else "AdamW"


def _without_mark(group: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in group.items() if key != "muon"}
    return kept | {"part": "Muon" if group["muon"] else "AdamW"}
