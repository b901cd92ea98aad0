"""bfloat16 on CPU: its kernels stay near float32 at the published widths, and texts part only where it is a toss-up."""

from dataclasses import replace

import pytest
import torch
from model_sequences import PUBLISHED_HEADS, continued, sequence

from qwen2vl_agent.model.cache import LayerCache
from qwen2vl_agent.model.config import preset
from qwen2vl_agent.model.generate import Ending, Foresight
from qwen2vl_agent.model.generate_many import Request, generate_many
from qwen2vl_agent.model.layers import text_rotary, vision_rotary
from qwen2vl_agent.model.masks import Visibility, make_segments, text_visibility
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.model.sampling import Sampler, SamplingConfig
from qwen2vl_agent.model.text import DecoderLayer
from qwen2vl_agent.model.vision import VisionBlock, patch_places

LAYER_ERROR = 0.01
"""Of what a layer adds, in the mean square: bfloat16 itself is off by up to 0.004 at every product and sum."""
TOSS_UP = 0.1
"""Difference of two tokens' float32 logits that bfloat16 may turn round, in standard deviations of all logits."""
WRITTEN = 24
TRUE = preset("2b")


def small_noise(module: torch.nn.Module) -> torch.nn.Module:
    """Weights at the published initialisation's scale, exact in bfloat16."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            scale = 0.02 if parameter.dim() > 1 else 0.1
            noise = scale * torch.randn(parameter.shape, generator=generator)
            parameter.copy_((noise + 1 if "norm" in name and name.endswith("weight") else noise).bfloat16())
    return module.eval().requires_grad_(False)


def error(found: torch.Tensor, truth: torch.Tensor, x: torch.Tensor) -> float:
    """Relative error of what the layer added to `x`."""
    return float((found.float() - truth).norm() / (truth - x).norm())


@torch.inference_mode()
def test_a_vision_block_of_the_published_width_is_near_float32() -> None:
    block = small_noise(VisionBlock(TRUE.vision))
    grid = [[1, 18, 20]]
    x = torch.randn(360, TRUE.vision.embed_dim, generator=torch.Generator().manual_seed(1)).bfloat16()
    rotary = vision_rotary(*patch_places(grid, 2), TRUE.vision.head_dim)
    sees = Visibility(segments=make_segments((360,), False, x.device))
    truth = block(x.float(), rotary, sees)
    assert error(block.bfloat16()(x, rotary, sees), truth, x.float()) < LAYER_ERROR


@torch.inference_mode()
def test_a_decoder_layer_of_the_published_width_is_near_float32_reading_and_writing() -> None:
    layer, text = small_noise(DecoderLayer(TRUE.text)), TRUE.text
    x = torch.randn(1, 601, text.hidden_size, generator=torch.Generator().manual_seed(2)).bfloat16()
    found: dict[torch.dtype, torch.Tensor] = {}
    for dtype in (torch.float32, torch.bfloat16):
        layer, cache, outs = layer.to(dtype), LayerCache(), []
        for start, end in ((0, 300), (300, 600), (600, 601)):
            positions = torch.arange(start, end).expand(3, 1, -1)
            rotary = text_rotary(positions, text.mrope_section, text.rope_theta, dtype)
            outs.append(layer(x[:, start:end].to(dtype), rotary, text_visibility(end - start, start), cache))
        found[dtype] = torch.cat(outs, dim=1)
    for part in (slice(0, 300), slice(300, 600), slice(600, 601)):
        truth, near = found[torch.float32][:, part], found[torch.bfloat16][:, part]
        assert error(near, truth, x[:, part].float()) < LAYER_ERROR


@pytest.fixture(scope="module")
def exact() -> Qwen2VL:
    """In float32, of weights that bfloat16 has too."""
    return small_noise(Qwen2VL(PUBLISHED_HEADS))


@pytest.fixture(scope="module")
def half(exact: Qwen2VL) -> Qwen2VL:
    other = Qwen2VL(PUBLISHED_HEADS)
    other.load_state_dict(exact.state_dict())
    return other.bfloat16().eval()


def test_texts_in_bfloat16_part_only_where_float32_finds_two_tokens_alike(exact: Qwen2VL, half: Qwen2VL) -> None:
    """The plain way of writing beside guesses and beside others: logits are rounded otherwise, tokens may follow."""
    prompts = [sequence((500 + 30 * seed, ("image", 1, 4, 6), 40), PUBLISHED_HEADS, seed=seed) for seed in range(3)]
    plain = [half.generate(prompt, max_new_tokens=WRITTEN).token_ids for prompt in prompts]
    ending = Ending(max_new_tokens=WRITTEN, eos_token_ids=PUBLISHED_HEADS.eos_token_ids)
    requests = [Request(inputs=prompt, ending=ending, sampler=Sampler(SamplingConfig())) for prompt in prompts]
    guessing = [replace(request, foresight=Foresight(draft_tokens=4)) for request in requests[:1]]
    together = [result.token_ids for result in generate_many(half, requests)]
    alone = [result.token_ids for result in generate_many(half, guessing)]
    for prompt, usual, found in (*zip(prompts, plain, together, strict=True), (prompts[0], plain[0], alone[0])):
        assert_alike(exact, prompt, usual, found)
    for prompt, usual in zip(prompts, plain, strict=True):
        assert_alike(exact, prompt, usual, exact.generate(prompt, max_new_tokens=WRITTEN).token_ids)


def assert_alike(exact: Qwen2VL, prompt, one: list[int], other: list[int]) -> None:
    """The same text, or two tokens at the first difference between which float32 hardly decides."""
    parted = next((place for place, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), None)
    if parted is None:
        assert one == other
        return
    with torch.inference_mode():
        logits = exact(continued(prompt, one[:parted], PUBLISHED_HEADS))[-1]
    assert float(abs(logits[one[parted]] - logits[other[parted]]) / logits.std()) < TOSS_UP
