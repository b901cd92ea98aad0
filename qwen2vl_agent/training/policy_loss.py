"""The loss of an on-policy gradient: group-normalised advantages, a clipped ratio, and a bound on the KL divergence.

Of several attempts at one task, those that did better than the group's mean are made likelier, the others less likely;
no value network is needed. Source: GRPO, Shao et al., "DeepSeekMath", arXiv 2402.03300, section 4.1; the clipped ratio
is PPO's (Schulman et al., arXiv 1707.06347), the estimate of the KL divergence is k3 of J. Schulman, "Approximating KL
divergence" (2020).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

SAME = 1e-6
"""Rewards of a group that differ by less teach nothing."""


@dataclass(frozen=True, slots=True)
class PolicyLoss:
    """Sums over the N tokens of a batch."""

    total: Tensor
    """What is minimised; the gradient flows from here."""
    kl: float
    """Estimated divergence from the policy that wrote the tokens."""
    clipped: int
    """Tokens whose ratio was out of bounds, where that mattered."""


def group_advantages(rewards: Sequence[float]) -> list[float]:
    """What each attempt of a group is worth: its reward less the mean, in standard deviations; 0 where all are alike.

    Worked example: rewards 1, 0, 0, 0 have the mean 0.25 and the deviation 0.433: 1.732, -0.577, -0.577, -0.577.
    """
    mean = sum(rewards) / len(rewards)
    deviation = (sum((reward - mean) ** 2 for reward in rewards) / len(rewards)) ** 0.5
    if deviation < SAME:
        return [0.0] * len(rewards)
    return [(reward - mean) / deviation for reward in rewards]


def policy_loss(
    logprobs_N: Tensor, old_N: Tensor, advantages_N: Tensor, clip: float = 0.2, kl_weight: float = 0.02
) -> PolicyLoss:
    """The sum over tokens of

        -min(r·A, clamp(r, 1 - clip, 1 + clip)·A) + kl_weight·(exp(-d) - 1 + d)   with d = log r = logprob - old

    `old` are the log-probabilities with which the tokens were written; that policy is also the one to stay close to.
    """
    difference_N = logprobs_N - old_N
    ratio_N = difference_N.exp()
    free_N, bound_N = ratio_N * advantages_N, ratio_N.clamp(1 - clip, 1 + clip) * advantages_N
    kl_N = torch.expm1(-difference_N) + difference_N
    total = (kl_weight * kl_N - torch.minimum(free_N, bound_N)).sum()
    return PolicyLoss(total, float(kl_N.detach().sum()), int((bound_N < free_N).sum()))
