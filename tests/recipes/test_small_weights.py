"""First weights of a small model: the same for a seed, scaled to their width, and blind to the paper's colour."""

import dataclasses
import math

import pytest
import torch

from qwen2vl_agent.model.config import VisionConfig, preset
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.recipes.small_weights import COLOUR_FILTERS, initialise_small

CONFIG = dataclasses.replace(preset("tiny"), vision=VisionConfig(depth=1, embed_dim=96, num_heads=3))


def model(seed: int = 0) -> Qwen2VL:
    made = Qwen2VL(CONFIG)
    initialise_small(made, seed)
    return made


@pytest.fixture(scope="module")
def filters() -> torch.Tensor:
    """[filters, colours, frames, height, width]"""
    return next(p for name, p in model().named_parameters() if name.endswith("patch_embed.weight")).detach()


def test_the_seed_alone_decides():
    torch.manual_seed(1)
    one = model()
    torch.manual_seed(2)
    other, third = model(), model(seed=1)
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name
    assert not torch.equal(one.language_model.embed_tokens.weight, third.language_model.embed_tokens.weight)


def test_both_frames_of_a_picture_are_filtered_alike(filters):
    assert filters.shape[2] == 2
    assert torch.equal(filters[:, :, 0], filters[:, :, 1])


def test_most_filters_do_not_see_a_patch_of_one_colour(filters):
    colour = torch.tensor([2.1, -1.7, 0.6])
    answers = (filters * colour[:, None, None, None]).sum(dim=(1, 2, 3, 4))
    assert answers[:-COLOUR_FILTERS].abs().max() < 1e-4
    assert answers[-COLOUR_FILTERS:].abs().mean() > 0.1


def test_most_of_them_are_grey_and_some_see_colour(filters):
    edges = filters[:-COLOUR_FILTERS]
    alike = [bool(torch.allclose(one, one.mean(dim=0, keepdim=True).expand_as(one), atol=1e-6)) for one in edges]
    assert alike == [True] * (len(edges) * 3 // 4) + [False] * (len(edges) - len(edges) * 3 // 4)


def test_grey_filters_answer_a_black_and_white_patch_as_strongly_as_colour_filters_do(filters):
    noise = torch.randn(500, 1, 1, 14, 14, generator=torch.Generator().manual_seed(0)).expand(500, 3, 2, 14, 14)
    answers = torch.einsum("pchwx,fchwx->pf", noise, filters).std(dim=0)
    grey = answers[: (len(filters) - COLOUR_FILTERS) * 3 // 4]
    assert grey.min() > 0.5 * answers.mean()


def test_norms_begin_at_one_biases_at_none_and_matrices_at_their_width():
    for name, parameter in model().named_parameters():
        if parameter.dim() == 1:
            assert set(parameter.tolist()) == {0.0 if name.endswith("bias") else 1.0}, name
        elif parameter.dim() == 2:
            width = math.sqrt(parameter.shape[1])
            assert float(parameter.detach().std()) * width == pytest.approx(1.0, rel=0.1) or float(
                parameter.detach().std()
            ) * width == pytest.approx(0.5, rel=0.1), name


def test_what_is_added_to_the_residual_stream_begins_half_as_large():
    halved = [
        name
        for name, parameter in model().named_parameters()
        if parameter.dim() == 2 and float(parameter.detach().std()) * math.sqrt(parameter.shape[1]) < 0.7
    ]
    blocks = CONFIG.text.num_hidden_layers + CONFIG.vision.depth
    assert len(halved) == 2 * blocks, halved
