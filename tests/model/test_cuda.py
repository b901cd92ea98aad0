"""On a GPU: the network's numbers are those of the CPU, whichever kernel computes them."""

import pytest
import torch
from other_device import sequence, small

from qwen2vl_agent.model.attention import attend, torch_varlen
from qwen2vl_agent.model.cache import Cache
from qwen2vl_agent.model.inputs import pack
from qwen2vl_agent.model.masks import Visibility, make_segments
from qwen2vl_agent.training.config import TrainConfig
from qwen2vl_agent.training.optim import make_optimizer
from qwen2vl_agent.training.step import train_step

pytestmark = pytest.mark.gpu
GPU = torch.device("cuda")
LENGTHS = (40, 7, 129, 64)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("head_dim", [64, 80, 128])
def test_torchs_variable_length_kernel_gives_what_each_segment_gives_alone(causal, head_dim):
    generator = torch.Generator().manual_seed(head_dim)
    tokens = sum(LENGTHS)
    q, k, v = (torch.randn(1, tokens, heads, head_dim, generator=generator) for heads in (4, 2, 2))
    expected = attend(q, k, v, Visibility(causal, segments=make_segments(LENGTHS, causal, torch.device("cpu"))))
    sees = Visibility(causal, segments=make_segments(LENGTHS, causal, GPU))
    halves = [x.to(GPU, torch.bfloat16).requires_grad_() for x in (q, k, v)]
    assert torch_varlen() is not None
    found = attend(*halves, sees, varlen=torch_varlen())
    torch.testing.assert_close(found.float().cpu(), expected, atol=2e-2, rtol=2e-2)
    weights = torch.randn(found.shape, generator=torch.Generator().manual_seed(2))
    found.backward(weights.to(GPU, torch.bfloat16))
    wholes = [x.detach().float().cpu().requires_grad_() for x in halves]
    attend(*wholes, Visibility(causal, segments=make_segments(LENGTHS, causal, torch.device("cpu")))).backward(weights)
    for half, whole in zip(halves, wholes, strict=True):
        torch.testing.assert_close(half.grad.float().cpu(), whole.grad, atol=5e-2, rtol=5e-2)


def test_logits_in_float32_are_those_of_the_cpu():
    model = small()
    inputs = sequence(model, 3)
    with torch.inference_mode():
        expected = model(inputs)
        found = model.to(GPU)(inputs.to(GPU)).cpu()
    torch.testing.assert_close(found, expected, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_greedy_tokens_do_not_depend_on_the_cache_nor_on_the_device(dtype):
    model = small().to(dtype)
    inputs = sequence(model, 4).to(dtype=dtype)
    expected = model.generate(inputs, max_new_tokens=24).token_ids
    model, inputs = model.to(GPU), inputs.to(GPU)
    found = model.generate(inputs, max_new_tokens=24).token_ids
    assert model.generate(inputs, max_new_tokens=24, cache=Cache()).token_ids == found
    if dtype is torch.float32:  # in bfloat16 the devices round otherwise
        assert found == expected


def test_a_step_of_training_lowers_the_loss_as_it_does_on_the_cpu():
    losses = {}
    for device in ("cpu", "cuda"):
        model = small().to(device).train()
        config = TrainConfig(steps=8, lr=3e-3, optimizer="muon", device=device, trainable=("",))
        optimizer = make_optimizer(model, config)
        losses[device] = [train_step(model, optimizer, [packed(model)], config).loss for _ in range(8)]
    assert losses["cuda"][-1] < losses["cuda"][0] - 0.5
    torch.testing.assert_close(torch.tensor(losses["cuda"]), torch.tensor(losses["cpu"]), atol=0.15, rtol=0.05)


def packed(model):
    """Three sequences of other lengths in one row, all of whose last tokens are to be predicted."""
    from qwen2vl_agent.data.packing import Row
    from qwen2vl_agent.data.packing import pack as pack_rows

    rows = []
    for seed, text in ((1, 12), (2, 30), (3, 21)):
        inputs = sequence(model, seed, text)
        labels = inputs.input_ids.clone()
        labels[:-text] = -100
        rows.append(Row(inputs, labels, "test"))
    assert pack([row.inputs for row in rows]).segment_lengths is not None
    return pack_rows(rows)
