"""Making a model's better attempts likelier: a few passes over the attempts of one round, stopped by the KL divergence.

The attempts were written by the very weights that are trained, so the first step is exactly on-policy; the recorded
log-probabilities say how far the weights have come since.
"""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.training.config import TrainConfig
from qwen2vl_agent.training.metrics import METRICS_FILE
from qwen2vl_agent.training.optim import make_optimizer
from qwen2vl_agent.training.policy_loss import policy_loss
from qwen2vl_agent.training.policy_rows import PolicyRow, rows_of
from qwen2vl_agent.training.stages import freeze_all_but, trainable_names


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyConfig:
    """One round of the policy's gradient."""

    lr: float = 1e-5
    passes: int = 2
    """Over all attempts."""
    batch_tokens: int = 8192
    """Of one packed row."""
    rows_per_step: int = 4
    """Packed rows of one optimizer step."""
    clip: float = 0.2
    """How far a token's probability may move, as a ratio, before its gradient ends."""
    kl_weight: float = 0.02
    kl_limit: float = 0.05
    """Mean divergence per token at which the round ends."""
    clip_norm: float = 1.0
    threads: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("lr", "passes", "batch_tokens", "rows_per_step", "clip", "kl_limit", "clip_norm"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be above 0")


@dataclass(frozen=True, slots=True)
class PolicyRound:
    """What came of it."""

    steps: int
    kl: float
    """Mean per token, of the last step."""
    reason: Literal["done", "kl"]


def fit_policy(model: Any, rows: Sequence[PolicyRow], config: PolicyConfig, out: Path) -> PolicyRound:
    """Train the language model in place, the vision encoder locked; a line of metrics for each step below `out`.

    Raises:
        ConfigError: there is no attempt to learn from: in every group all did equally well.
    """
    rows = [row for row in rows if row.advantage]
    if not rows:
        raise ConfigError("in every group all attempts did equally well; collect more, or at a higher temperature")
    if config.threads:
        torch.set_num_threads(config.threads)
    optimizer = _optimizer(model, config)
    out.mkdir(parents=True, exist_ok=True)
    step, kl = 0, 0.0
    with (out / METRICS_FILE).open("w", encoding="utf-8") as metrics:
        for batches in _steps(rows, config):
            line = _one_step(model, optimizer, batches, config)
            kl, step = line["kl"], step + 1
            metrics.write(json.dumps({"step": step, **line}) + "\n")
            metrics.flush()
            if kl > config.kl_limit:
                return PolicyRound(step, kl, "kl")
    return PolicyRound(step, kl, "done")


def _optimizer(model: Any, config: PolicyConfig) -> torch.optim.Optimizer:
    plain = TrainConfig(stage="stage3", steps=1, lr=config.lr, weight_decay=0.0)
    freeze_all_but(model, trainable_names(model, plain))
    return make_optimizer(model.train(), plain)


def _steps(rows: Sequence[PolicyRow], config: PolicyConfig) -> Iterator[list[list[PolicyRow]]]:
    """Packed rows for each optimizer step, each pass in another order."""
    rng = random.Random(config.seed)
    for _ in range(config.passes):
        packed = list(_packed(rng.sample(list(rows), len(rows)), config.batch_tokens))
        for first in range(0, len(packed), config.rows_per_step):
            yield packed[first : first + config.rows_per_step]


def _packed(rows: Sequence[PolicyRow], budget: int) -> Iterator[list[PolicyRow]]:
    held: list[PolicyRow] = []
    for row in rows:
        if held and sum(one.num_tokens for one in held) + row.num_tokens > budget:
            yield held
            held = []
        held.append(row)
    if held:
        yield held


def _one_step(
    model: Any, optimizer: torch.optim.Optimizer, batches: list[list[PolicyRow]], config: PolicyConfig
) -> dict[str, Any]:
    tokens = sum(len(row.ids) for batch in batches for row in batch)
    loss, kl, clipped = 0.0, 0.0, 0
    for batch in batches:
        inputs, where, ids, old, advantages = rows_of(batch)
        logprobs = written_logprobs(model, inputs, where, ids)
        found = policy_loss(logprobs, old, advantages, config.clip, config.kl_weight)
        (found.total / tokens).backward()
        loss, kl, clipped = loss + float(found.total.detach()), kl + found.kl, clipped + found.clipped
    trained = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    norm = float(torch.nn.utils.clip_grad_norm_(trained, config.clip_norm))
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return {"loss": loss / tokens, "kl": kl / tokens, "clipped": clipped / tokens, "tokens": tokens, "grad_norm": norm}


def written_logprobs(model: Any, inputs: Any, where: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """[N] log-probability of each id, predicted at its place; float32, so that it compares with what was recorded."""
    hidden_TD = model.hidden_states(inputs)
    logits_NV = model.lm_head(hidden_TD.index_select(0, where)).float()
    return logits_NV.gather(1, ids[:, None])[:, 0] - logits_NV.logsumexp(-1)


def to_json(found: PolicyRound) -> dict[str, Any]:
    """For the round's record."""
    return asdict(found)
