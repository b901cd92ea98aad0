"""What a text under way must or may go on with, whatever the model thinks: the seam between model and grammar."""

from typing import Protocol

import torch
from torch import Tensor


class Constraint(Protocol):
    """Watches one text token by token. It never looks ahead of what was accepted, so nothing is ever taken back."""

    def forced(self) -> list[int]:
        """The ids that must come next, all of which are then accepted in turn; empty where there is a choice."""
        ...

    def allowed(self) -> Tensor | None:
        """`[V]` bool, True for the ids that may come next, ids beyond its end may not; None: any may."""
        ...

    def accept(self, token_id: int) -> None:
        """Take note of the next id."""
        ...

    @property
    def open(self) -> bool:
        """Whether something was begun that must be brought to its end, over the limit of new tokens if need be."""
        ...

    @property
    def finished(self) -> bool:
        """Whether the text is complete."""
        ...


def masked(logits_V: Tensor, allowed: Tensor | None) -> Tensor:
    """The logits with minus infinity where a token may not come next.

    Logits 1 2 3 4 and allowed T F T give 1 -inf 3 -inf.
    """
    if allowed is None:
        return logits_V
    out = torch.full_like(logits_V, float("-inf"))
    size = min(len(allowed), len(logits_V))
    allowed = allowed[:size].to(logits_V.device)
    out[:size] = logits_V[:size].masked_fill(~allowed, float("-inf"))
    return out
