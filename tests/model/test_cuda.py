"""On a GPU: the network's numbers are those of the CPU, whichever kernel computes them."""

import pytest
import torch

from qwen2vl_agent.model.attention import attend, torch_varlen
from qwen2vl_agent.model.cache import Cache
from qwen2vl_agent.model.config import Qwen2VLConfig, TextConfig, VisionConfig
from qwen2vl_agent.model.inputs import ModelInputs, pack
from qwen2vl_agent.model.masks import Visibility, make_segments
from qwen2vl_agent.model.mrope import mrope_positions
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.training.config import TrainConfig
from qwen2vl_agent.training.optim import make_optimizer
from qwen2vl_agent.training.step import train_step

pytestmark = pytest.mark.gpu
GPU = torch.device("cuda")
LENGTHS = (40, 7, 129, 64)
IMAGE = 60


def small(head_dim=64):
    """A network whose heads are as wide as the published ones' may be."""
    text = TextConfig(
        vocab_size=64,
        hidden_size=4 * head_dim,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=256,
        mrope_section=(head_dim // 8, head_dim // 8 + head_dim // 16, head_dim // 8 + head_dim // 16),
        max_window_layers=3,
    )
    config = Qwen2VLConfig(
        text=text,
        vision=VisionConfig(depth=2, embed_dim=160, num_heads=2),
        image_token_id=IMAGE,
        video_token_id=61,
        vision_start_token_id=62,
        vision_end_token_id=63,
        eos_token_ids=(),
        tie_word_embeddings=True,
    )
    torch.manual_seed(1)
    return Qwen2VL(config).eval()


def sequence(model, seed, text=20, side=8):
    """Text, a picture of side x side patches, text."""
    generator = torch.Generator().manual_seed(seed)
    before, after = torch.randint(0, 50, (2, text), generator=generator)
    ids = torch.cat([before, torch.full((side * side // 4,), IMAGE), after])
    grid = torch.tensor([[1, side, side]])
    pixels = torch.randn(side * side, 1176, generator=generator)
    return ModelInputs(ids, mrope_positions(ids, grid, None, model.config), pixels, grid)


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
