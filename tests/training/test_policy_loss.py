"""The policy's loss: its gradient is the policy gradient, its bounds hold, and its numbers are those of the papers."""

import math

import pytest
import torch

from qwen2vl_agent.training.policy_loss import group_advantages, policy_loss


def test_advantages_are_rewards_in_deviations_from_their_groups_mean() -> None:
    found = group_advantages([1.0, 0.0, 0.0, 0.0])
    assert found == pytest.approx([math.sqrt(3), *[-1 / math.sqrt(3)] * 3])
    assert sum(found) == pytest.approx(0.0)
    assert group_advantages([1.0, 1.0]) == [0.0, 0.0]


def test_on_policy_the_gradient_is_that_of_advantage_times_log_probability() -> None:
    logits = torch.randn(5, 7, dtype=torch.float64, requires_grad=True)
    ids, advantages = torch.tensor([0, 3, 6, 2, 2]), torch.tensor([1.0, -2.0, 0.5, 0.0, 3.0], dtype=torch.float64)
    logprobs = logits.log_softmax(-1)[torch.arange(5), ids]
    policy_loss(logprobs, logprobs.detach(), advantages, kl_weight=0.3).total.backward()
    found, logits.grad = logits.grad, None
    (-(logits.log_softmax(-1)[torch.arange(5), ids] * advantages).sum()).backward()
    torch.testing.assert_close(found, logits.grad)


@pytest.mark.parametrize(("ratio", "advantage", "moves"), [(1.3, 1.0, False), (0.7, -1.0, False), (1.3, -1.0, True)])
def test_beyond_the_clip_only_mending_moves_on(ratio: float, advantage: float, moves: bool) -> None:
    logprob = torch.tensor([math.log(0.2 * ratio)], requires_grad=True)
    found = policy_loss(logprob, torch.tensor([math.log(0.2)]), torch.tensor([advantage]), clip=0.2, kl_weight=0.0)
    found.total.backward()
    assert logprob.grad is not None
    assert bool(logprob.grad.abs() > 1e-6) == moves
    assert found.clipped == int(not moves)


def test_the_kl_estimate_is_right_in_the_mean_and_pulls_back() -> None:
    torch.manual_seed(0)
    old, new = torch.randn(6).log_softmax(-1), torch.randn(6).log_softmax(-1)
    ids = torch.multinomial(new.exp(), 200_000, replacement=True)
    # Written by the policy that is measured: the estimate's mean is KL(new || old).
    found = policy_loss(new[ids], old[ids], torch.zeros(len(ids)))
    assert found.kl / len(ids) == pytest.approx(float((new.exp() * (new - old)).sum()), rel=0.02)
    logprob = torch.tensor([-1.0], requires_grad=True)
    policy_loss(logprob, torch.tensor([-2.0]), torch.zeros(1), kl_weight=1.0).total.backward()
    assert logprob.grad is not None
    assert float(logprob.grad) > 0, "a token that became likelier is drawn back"
