"""The loss of a packed row is that of its examples alone."""

import pytest
import torch
from training_doubles import LetterProcessor, mixture, small_model

from qwen2vl_agent.data.packing import pack
from qwen2vl_agent.data.worker import encode_row
from qwen2vl_agent.training.loss import target_loss


def rows(count: int):
    return [encode_row(mixture(), LetterProcessor(), position, torch.float32) for position in range(count)]


def test_a_packed_loss_is_the_mean_over_the_examples_alone():
    model, alone = small_model(), rows(6)
    with torch.no_grad():
        packed = target_loss(model, pack(alone))
        singles = [target_loss(model, pack([row])) for row in alone]
    count = sum(int(single.counts.sum()) for single in singles)
    assert float(packed.total) / count == pytest.approx(sum(float(s.total) for s in singles) / count, abs=1e-6)


def test_a_packed_gradient_is_the_sum_of_the_examples_gradients():
    model, alone = small_model(), rows(5)
    target_loss(model, pack(alone)).total.backward()
    packed = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    for row in alone:
        target_loss(model, pack([row])).total.backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(packed[name], parameter.grad, rtol=1e-4, atol=2e-5, msg=name)


def test_it_is_the_cross_entropy_of_the_shifted_labels():
    model, batch = small_model(), pack(rows(4))
    logits = model(batch.inputs)[:-1]
    expected = torch.nn.functional.cross_entropy(logits, batch.labels[1:], ignore_index=-100, reduction="sum")
    assert float(target_loss(model, batch).total.detach()) == pytest.approx(float(expected.detach()), rel=1e-6)


def test_chunks_change_neither_loss_nor_gradient():
    model, batch = small_model(), pack(rows(5))
    whole = target_loss(model, batch)
    whole.total.backward()
    expected = model.lm_head.weight.grad.clone()
    model.zero_grad()
    chunked = target_loss(model, batch, chunk=3)
    chunked.total.backward()
    assert float(chunked.total.detach()) == pytest.approx(float(whole.total.detach()), rel=1e-6)
    torch.testing.assert_close(model.lm_head.weight.grad, expected, rtol=1e-4, atol=1e-5)


def test_sums_by_source_add_up_and_know_no_weights():
    alone = rows(8)
    batch = pack(alone)
    sums = target_loss(small_model(), batch)
    assert set(batch.sources) == {"a", "b"}
    assert float(sums.by_source.sum()) == pytest.approx(float(sums.total.detach()), rel=1e-6)
    for name, count in zip(batch.sources, sums.counts.tolist(), strict=True):
        assert count == sum(int((row.labels != -100).sum()) for row in alone if row.source == name)
    assert not sums.by_source.requires_grad


def test_only_what_the_assistant_says_is_a_target():
    for row in rows(8):
        ids, labels = row.inputs.input_ids.tolist(), row.labels.tolist()
        says = ids.index(2)  # where the assistant begins
        assert all(label == -100 for label in labels[: says + 1])
        assert labels[says + 1 :] == ids[says + 1 :]
