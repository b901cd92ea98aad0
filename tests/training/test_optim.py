"""Groups of the optimizer, the learning rate's course, the moving average."""

import pytest
import torch
from training_doubles import small_model

from qwen2vl_agent.training.config import TrainConfig
from qwen2vl_agent.training.optim import MovingAverage, lr_at, make_optimizer, set_lr


def test_only_matrices_decay():
    model = small_model()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    optimizer = make_optimizer(model, TrainConfig(steps=1, weight_decay=0.3))
    decays = {names[id(p)]: group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert len(decays) == len(names)
    for name, decay in decays.items():
        plain = "norm" in name or "ln_q" in name or name.endswith("bias") or "embed_tokens" in name
        assert decay == (0.0 if plain else 0.3), name


def test_factors_scale_the_rate_of_their_part():
    model = small_model()
    optimizer = make_optimizer(model, TrainConfig(steps=1, lr_factors=(("visual.", 0.1),)))
    set_lr(optimizer, 2.0)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            assert group["lr"] == pytest.approx(0.2 if names[id(parameter)].startswith("visual.") else 2.0)


def test_the_rate_warms_up_and_falls_along_a_cosine_to_its_floor():
    config = TrainConfig(steps=100, lr=1.0, warmup_steps=4, min_lr_ratio=0.1)
    assert [lr_at(step, 0.0, config) for step in range(5)] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])
    assert lr_at(50, 0.5, config) == pytest.approx(0.55)
    assert lr_at(100, 1.0, config) == pytest.approx(0.1)
    falling = [lr_at(step, step / 100, config) for step in range(4, 101)]
    assert falling == sorted(falling, reverse=True)


def test_a_token_budget_and_a_number_of_steps_end_a_run_whichever_is_spent_first():
    config = TrainConfig(steps=10, token_budget=1000)
    assert config.spent(5, 100) == 0.5
    assert config.spent(1, 900) == 0.9
    assert config.spent(20, 0) == 1.0


def test_a_run_by_the_clock_ends_and_its_rate_falls_with_the_seconds_of_training():
    config = TrainConfig(seconds_budget=200.0, lr=1.0, warmup_steps=0, min_lr_ratio=0.1)
    assert [config.spent(5, 1e9, seconds) for seconds in (0.0, 50.0, 200.0, 900.0)] == [0.0, 0.25, 1.0, 1.0]
    rates = [lr_at(100, config.spent(100, 0, seconds), config) for seconds in (0.0, 100.0, 200.0)]
    assert rates == pytest.approx([1.0, 0.55, 0.1])
    assert TrainConfig(seconds_budget=200.0, steps=10).spent(9, 0, 20.0) == 0.9


def test_the_average_follows_the_weights_and_can_be_swapped_in_and_out():
    model = small_model()
    average = MovingAverage(model, 0.5)
    before = model.lm_head.weight.detach().clone()
    with torch.no_grad():
        model.lm_head.weight.add_(1.0)
    for step in range(20):
        average.update(step)
    average.swap()
    torch.testing.assert_close(model.lm_head.weight, before + 1.0, atol=1e-4, rtol=0)
    average.swap()
    torch.testing.assert_close(model.lm_head.weight, before + 1.0, atol=1e-6, rtol=0)
