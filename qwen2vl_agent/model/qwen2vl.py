"""Qwen2-VL: vision encoder, merger and language model in one module."""

import torch
from torch import Tensor, nn

from qwen2vl_agent.model.config import Qwen2VLConfig
from qwen2vl_agent.model.initialise import initialise
from qwen2vl_agent.model.inputs import ModelInputs
from qwen2vl_agent.model.layers import text_rotary
from qwen2vl_agent.model.masks import text_visibility
from qwen2vl_agent.model.text import LanguageModel
from qwen2vl_agent.model.vision import VisionEncoder


class Qwen2VL(nn.Module):
    """The network. Parameters are `visual.*` (with `visual.merger.*`), `language_model.*` and, untied, `lm_head.*`."""

    def __init__(self, config: Qwen2VLConfig, seed: int | None = None) -> None:
        """Random weights, reproducible for a `seed`; none at all under `torch.device("meta")`."""
        super().__init__()
        self.config = config
        self.visual = VisionEncoder(config.vision, config.text.hidden_size)
        self.language_model = LanguageModel(config.text)
        self.lm_head = nn.Linear(config.text.hidden_size, config.text.vocab_size, bias=False)
        self.tie_weights()
        if not self.lm_head.weight.is_meta:
            initialise(self, seed)

    def tie_weights(self) -> None:
        """Make head and embedding one parameter again where the config says so (needed after `to_empty`)."""
        if self.config.tie_word_embeddings:
            self.lm_head.weight = self.language_model.embed_tokens.weight

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.lm_head.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights."""
        return self.lm_head.weight.dtype

    def forward(self, inputs: ModelInputs) -> Tensor:
        """Logits `[T, V]`, or `[B, T, V]` of a batch."""
        return self.lm_head(self.hidden_states(inputs))

    def hidden_states(self, inputs: ModelInputs, last_only: bool = False) -> Tensor:
        """States after the final norm `[T, D]` or `[B, T, D]`; of the last token only, T is 1."""
        ids_BT = inputs.input_ids if inputs.batched else inputs.input_ids[None]
        positions_3BT = inputs.position_ids if inputs.batched else inputs.position_ids[:, None]
        x_BTD = self.embed(ids_BT, inputs)
        rotary = text_rotary(positions_3BT, self.config.text.mrope_section, self.config.text.rope_theta, x_BTD.dtype)
        sees = text_visibility(ids_BT.shape[1], 0, inputs.attention_mask, inputs.segment_lengths, x_BTD.device)
        hidden_BTD = self.language_model(x_BTD, rotary, sees, None, 1 if last_only else 0)
        return hidden_BTD if inputs.batched else hidden_BTD[0]

    def embed(self, ids_BT: Tensor, inputs: ModelInputs) -> Tensor:
        """Embeddings `[B, T, D]` of the ids, vision tokens replaced by what the encoder makes of the patches."""
        x_BTD = self.language_model.embed_tokens(ids_BT)
        for pixels, grid, token_id in (
            (inputs.pixel_values, inputs.image_grid_thw, self.config.image_token_id),
            (inputs.pixel_values_videos, inputs.video_grid_thw, self.config.video_token_id),
        ):
            if pixels is not None and grid is not None:
                x_BTD = place(x_BTD, ids_BT == token_id, self.visual(pixels, grid))
        return x_BTD


def place(x_BTD: Tensor, where_BT: Tensor, features_VD: Tensor) -> Tensor:
    """`x_BTD` with `features_VD` in its marked places, in order.

    Raises:
        ValueError: there are more or fewer features than places.
    """
    places = where_BT.flatten().nonzero().flatten()
    if len(places) != len(features_VD):
        raise ValueError(f"{len(places)} vision tokens in the text, but {len(features_VD)} from the patches")
    return x_BTD.flatten(0, 1).index_copy(0, places, features_VD.to(x_BTD.dtype)).view_as(x_BTD)
