"""Muon and AdamW behind one optimizer: who moves what, one rate for both, and a state that comes back whole."""

import copy

import pytest
import torch
from torch.optim import AdamW, Muon
from training_doubles import loader, small_model

from qwen2vl_agent.training.config import TrainConfig
from qwen2vl_agent.training.muon import MuonAdamW
from qwen2vl_agent.training.optim import make_optimizer, set_lr
from qwen2vl_agent.training.shared_muon import SharedMuon
from qwen2vl_agent.training.step import train_step

CONFIG = TrainConfig(steps=20, optimizer="muon", lr=3e-3, dtype="float32", weight_decay=0.1)


def groups_by_name(model, optimizer) -> dict[str, dict]:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {names[id(p)]: group for group in optimizer.param_groups for p in group["params"]}


def weights(model) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def train(model, optimizer, batches, first: int = 0) -> None:
    """A step for each batch, with a rate that depends on the step."""
    for step, batch in enumerate(batches, first):
        set_lr(optimizer, CONFIG.lr / (1 + step))
        train_step(model, optimizer, [batch], CONFIG)


@pytest.fixture(scope="module")
def batches() -> list:
    data = loader(budget=80)
    return [next(data) for _ in range(6)]


def test_only_matrices_between_hidden_layers_go_to_muon():
    model = small_model()
    parts = {name: group["part"] for name, group in groups_by_name(model, make_optimizer(model, CONFIG)).items()}
    assert len(parts) == len(list(model.named_parameters()))
    for name, parameter in model.named_parameters():
        outside = parameter.dim() != 2 or "embed_tokens" in name or "patch_embed" in name
        assert parts[name] == ("AdamW" if outside else "Muon"), name
    for part in ("q_proj.weight", "down_proj.weight", "qkv.weight", "merger.fc1.weight"):
        assert any(name.endswith(part) and parts[name] == "Muon" for name in parts), part


def test_what_does_not_train_is_in_no_group():
    model = small_model()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith("visual.merger."))
    assert all(name.startswith("visual.merger.") for name in groups_by_name(model, make_optimizer(model, CONFIG)))


def test_a_rate_set_on_the_groups_moves_both_parts(batches):
    model = small_model()
    optimizer = make_optimizer(model, CONFIG)
    set_lr(optimizer, 0.0)
    before = weights(model)
    train_step(model, optimizer, batches[:1], CONFIG)
    assert all(torch.equal(before[name], tensor) for name, tensor in weights(model).items())
    set_lr(optimizer, 1e-3)
    train_step(model, optimizer, batches[:1], CONFIG)
    moved = {name for name, tensor in weights(model).items() if not torch.equal(before[name], tensor)}
    assert {group["part"] for name, group in groups_by_name(model, optimizer).items() if name in moved} == {
        "Muon",
        "AdamW",
    }
    assert moved == set(before)


def test_a_rate_set_after_loading_a_state_moves_both_parts_too(batches):
    model = small_model()
    optimizer = make_optimizer(model, CONFIG)
    train(model, optimizer, batches[:1])
    optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    set_lr(optimizer, 0.0)
    before = weights(model)
    train_step(model, optimizer, batches[:1], CONFIG)
    assert all(torch.equal(before[name], tensor) for name, tensor in weights(model).items())


def test_a_factor_holds_for_the_matrices_of_muon_too():
    model = small_model()
    optimizer = make_optimizer(model, TrainConfig(steps=1, optimizer="muon", lr_factors=(("visual.", 0.1),)))
    set_lr(optimizer, 2.0)
    for name, group in groups_by_name(model, optimizer).items():
        assert group["lr"] == pytest.approx(0.2 if name.startswith("visual.") else 2.0), name


def test_each_part_steps_as_torch_s_own_optimizer_does():
    torch.manual_seed(0)
    matrix, bias = torch.nn.Parameter(torch.randn(6, 4)), torch.nn.Parameter(torch.randn(6))
    twins = torch.nn.Parameter(matrix.detach().clone()), torch.nn.Parameter(bias.detach().clone())
    groups = [
        {"params": [matrix], "weight_decay": 0.1, "factor": 1.0, "muon": True},
        {"params": [bias], "weight_decay": 0.0, "factor": 1.0, "muon": False},
    ]
    both = MuonAdamW(groups, lr=0.01, betas=(0.9, 0.98), eps=1e-8)
    muon = Muon([twins[0]], lr=0.01, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw")
    adam = AdamW([twins[1]], lr=0.01, betas=(0.9, 0.98), eps=1e-8, weight_decay=0.0, fused=True)
    for _ in range(3):
        for parameter in (matrix, bias):
            parameter.grad = torch.randn_like(parameter)
        twins[0].grad, twins[1].grad = matrix.grad.clone(), bias.grad.clone()
        for optimizer in (both, muon, adam):
            optimizer.step()
            optimizer.zero_grad()
    assert matrix.grad is None
    torch.testing.assert_close(matrix, twins[0], atol=5e-4, rtol=0)  # torch's iteration is in bfloat16 everywhere
    assert torch.equal(bias, twins[1])


def test_matrices_of_one_shape_step_together_as_each_does_alone():
    torch.manual_seed(0)
    shapes = [(6, 4), (4, 6), (6, 4), (5, 5), (6, 4)]
    together = [torch.nn.Parameter(torch.randn(shape)) for shape in shapes]
    alone = [torch.nn.Parameter(parameter.detach().clone()) for parameter in together]
    for one, other in zip(together, alone, strict=True):
        one.grad = torch.randn_like(one)
        other.grad = one.grad.clone()
    settings = {"lr": 0.1, "momentum": 0.95, "weight_decay": 0.01}
    for group in (together, *([parameter] for parameter in alone)):
        SharedMuon([{"params": group}], None, **settings).step()
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=0)


def test_a_restored_state_goes_on_bit_for_bit(batches, tmp_path):
    whole = small_model()
    train(whole, make_optimizer(whole, CONFIG), batches)
    first = small_model()
    optimizer = make_optimizer(first, CONFIG)
    train(first, optimizer, batches[:3])
    torch.save({"optimizer": optimizer.state_dict(), "model": first.state_dict()}, tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    second = small_model(seed=9)
    second.load_state_dict(state["model"])
    other = make_optimizer(second, CONFIG)
    other.load_state_dict(state["optimizer"])
    train(second, other, batches[3:], first=3)
    for name, tensor in weights(whole).items():
        assert torch.equal(tensor, weights(second)[name]), name


def test_without_the_state_it_would_go_on_otherwise(batches):
    """The restored state matters: what the test before shows is not true of any two runs."""
    whole, cut = small_model(), small_model()
    train(whole, make_optimizer(whole, CONFIG), batches)
    train(cut, make_optimizer(cut, CONFIG), batches[:3])
    train(cut, make_optimizer(cut, CONFIG), batches[3:], first=3)
    for part in ("q_proj.weight", "embed_tokens.weight"):
        name = next(name for name in weights(whole) if name.endswith(part))
        assert not torch.equal(weights(whole)[name], weights(cut)[name])


def test_a_model_of_matrices_only_or_of_none_has_one_part():
    for shape, muon in (((4, 4), True), ((4,), False)):
        parameter = torch.nn.Parameter(torch.ones(shape))
        group = {"params": [parameter], "weight_decay": 0.0, "factor": 1.0, "muon": muon}
        optimizer = MuonAdamW([group], lr=0.1, betas=(0.9, 0.98), eps=1e-8)
        parameter.grad = torch.ones(shape)
        optimizer.step()
        assert not torch.equal(parameter, torch.ones(shape))
        optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        assert len(optimizer.param_groups) == 1


def test_it_learns(batches):
    model = small_model()
    optimizer = make_optimizer(model, CONFIG)
    set_lr(optimizer, CONFIG.lr)
    results = [train_step(model, optimizer, batches[:1], CONFIG) for _ in range(25)]
    first, last = (sum(result.losses.values()) for result in (results[0], results[-1]))
    assert last < first / 2
