"""Small networks and random sequences of text, images and videos, for the tests of the network."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn

from qwen2vl_agent.model.config import Qwen2VLConfig, TextConfig, VisionConfig
from qwen2vl_agent.model.inputs import ModelInputs
from qwen2vl_agent.model.mrope import mrope_positions

Piece = int | tuple[str, int, int, int]
"""A number of text tokens, or ("image" | "video", frame pairs, rows, columns) in patches."""

SMALL = Qwen2VLConfig(
    text=TextConfig(
        vocab_size=300,
        hidden_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=96,
        mrope_section=(2, 3, 3),
    ),
    vision=VisionConfig(depth=2, embed_dim=64, num_heads=4),
    tie_word_embeddings=True,
    image_token_id=298,
    video_token_id=299,
    vision_start_token_id=295,
    vision_end_token_id=296,
    vision_token_id=297,
    bos_token_id=290,
    pad_token_id=290,
    eos_token_ids=(292, 290),
    dtype="float32",
)
UNTIED = replace(SMALL, tie_word_embeddings=False)
PUBLISHED_HEADS = replace(
    SMALL,
    text=replace(SMALL.text, hidden_size=512, num_attention_heads=4, num_key_value_heads=1, mrope_section=(16, 24, 24)),
    vision=replace(SMALL.vision, embed_dim=160, num_heads=2),
)
"""The published head sizes, 128 in the language model and 80 in the vision encoder."""

LAYOUTS: dict[str, tuple[Piece, ...]] = {
    "text": (23,),
    "one image": (4, ("image", 1, 6, 10), 7),
    "images of odd sizes": (3, ("image", 1, 2, 2), 1, ("image", 1, 14, 4), 5, ("image", 1, 4, 22), 2),
    "a video": (4, ("video", 2, 6, 8), 6),
    "a video of three frames, the last doubled": (2, ("video", 2, 4, 10), 3),
    "images and videos in turn": (2, ("image", 1, 4, 6), 3, ("video", 3, 8, 4), 2, ("image", 1, 10, 2), 4,
                                  ("video", 1, 6, 6), 3),
    "an image at the very start": (("image", 1, 4, 4), 9),
}  # fmt: skip


def sequence(layout: Sequence[Piece], config: Qwen2VLConfig = SMALL, seed: int = 0) -> ModelInputs:
    """A sequence of random text and random patches."""
    generator = torch.Generator().manual_seed(seed)
    ids: list[int] = []
    patches: dict[str, list[torch.Tensor]] = {"image": [], "video": []}
    grids: dict[str, list[list[int]]] = {"image": [], "video": []}
    pads = {"image": config.image_token_id, "video": config.video_token_id}
    for piece in layout:
        if isinstance(piece, int):
            ids += torch.randint(0, 280, (piece,), generator=generator).tolist()
            continue
        kind, *grid = piece
        tokens = grid[0] * grid[1] * grid[2] // 4
        ids += [config.vision_start_token_id, *[pads[kind]] * tokens, config.vision_end_token_id]
        grids[kind].append(list(grid))
        patches[kind].append(torch.randn(4 * tokens, config.vision.patch_values, generator=generator))
    return with_ids(
        ids,
        config,
        pixel_values=torch.cat(patches["image"]) if grids["image"] else None,
        image_grid_thw=torch.tensor(grids["image"]) if grids["image"] else None,
        pixel_values_videos=torch.cat(patches["video"]) if grids["video"] else None,
        video_grid_thw=torch.tensor(grids["video"]) if grids["video"] else None,
    )


def with_ids(ids: Sequence[int], config: Qwen2VLConfig = SMALL, **vision: torch.Tensor | None) -> ModelInputs:
    """Inputs of these ids, positions computed."""
    positions = mrope_positions(ids, vision.get("image_grid_thw"), vision.get("video_grid_thw"), config)
    return ModelInputs(torch.tensor(ids), positions, **vision)


def continued(inputs: ModelInputs, more: Sequence[int], config: Qwen2VLConfig = SMALL) -> ModelInputs:
    """`inputs` with more text at its end."""
    return with_ids(
        [*inputs.input_ids.tolist(), *more],
        config,
        pixel_values=inputs.pixel_values,
        image_grid_thw=inputs.image_grid_thw,
        pixel_values_videos=inputs.pixel_values_videos,
        video_grid_thw=inputs.video_grid_thw,
    )


@torch.no_grad()
def randomise(model: nn.Module, seed: int = 0) -> nn.Module:
    """Every parameter random, biases and norms too, at a scale at which an error anywhere shows in the logits."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in sorted(model.named_parameters()):
        noise = torch.empty(parameter.shape).normal_(generator=generator)
        norm = parameter.dim() == 1 and "norm" in name + name.replace("ln_q", "norm") and name.endswith("weight")
        parameter.copy_(1 + 0.2 * noise if norm else 0.1 * noise)
    return model
