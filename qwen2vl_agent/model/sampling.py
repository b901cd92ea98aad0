"""Choosing the next token."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class SamplingConfig:
    """How the next token is drawn."""

    temperature: float = 0.0
    """0 takes the likeliest token."""
    top_p: float = 1.0
    """Only the likeliest tokens that together have this probability are drawn from."""
    top_k: int = 0
    """Only so many of the likeliest tokens are drawn from; 0 is no limit."""

    def __post_init__(self) -> None:
        if self.temperature < 0 or not 0 < self.top_p <= 1 or self.top_k < 0:
            raise ValueError(
                f"temperature {self.temperature} must be at least 0, top_p {self.top_p} in (0, 1], "
                f"top_k {self.top_k} at least 0"
            )


class Sampler:
    """Draws tokens; reproducible for a seed."""

    def __init__(self, config: SamplingConfig, seed: int | None = None, never: Sequence[int] = ()) -> None:
        """`never` are ids that are not drawn, such as those that stand for a picture's tokens."""
        self.config = config
        self._never = tuple(never)
        self._generator = torch.Generator()
        if seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(seed)

    def choose(self, logits_V: Tensor) -> int:
        """The id of the next token."""
        return self.draw(logits_V)[0]

    def draw(self, logits_V: Tensor) -> tuple[int, float]:
        """The id of the next token, and its log-probability among those that it was drawn from.

        The likeliest token is taken, not drawn: its log-probability is that at temperature 1.
        """
        if self.config.temperature == 0 or self.config.top_k == 1:
            token_id = likeliest(logits_V)
            if token_id in self._never:
                token_id = likeliest(self._left(logits_V))
            return token_id, logprob(logits_V, token_id)
        probabilities, ids = nucleus(self._left(logits_V), self.config)
        place = int(torch.multinomial(probabilities.cpu(), 1, generator=self._generator))
        return int(ids[place]), float(probabilities[place].log())

    def _left(self, logits_V: Tensor) -> Tensor:
        """The logits without those of ids that are not drawn."""
        if not self._never:
            return logits_V
        return logits_V.index_fill(0, torch.tensor(self._never, device=logits_V.device), float("-inf"))


def likeliest(logits_V: Tensor) -> int:
    """The id of the largest, on CPU by NumPy: PyTorch takes eight times as long in bfloat16 (0.4 ms of 151,936)."""
    if logits_V.device.type != "cpu":
        return int(logits_V.argmax())
    return int(logits_V.detach().float().numpy().argmax())


def nucleus(logits_V: Tensor, config: SamplingConfig) -> tuple[Tensor, Tensor]:
    """Probabilities (likeliest first, summing to 1) and ids of the tokens that may be drawn.

    Probabilities 0.5 0.3 0.2 with top_p 0.6 leave 0.625 0.375: the token that crosses the limit stays.
    """
    ordered, ids = (logits_V.float() / config.temperature).sort(descending=True, stable=True)
    if config.top_k:
        ordered, ids = ordered[: config.top_k], ids[: config.top_k]
    probabilities = ordered.softmax(-1)
    allowed = probabilities > 0
    if config.top_p < 1:  # else rounding would decide how many of the last are left, and with that what a seed draws
        allowed &= probabilities.cumsum(-1) - probabilities < config.top_p
    allowed[0] = True
    probabilities, ids = probabilities[allowed], ids[allowed]
    return probabilities / probabilities.sum(), ids


def logprob(logits_V: Tensor, token_id: int) -> float:
    """Raw log-probability of a token: temperature 1, nothing masked."""
    logits_V = logits_V.float()
    return float(logits_V[token_id] - logits_V.logsumexp(-1))
