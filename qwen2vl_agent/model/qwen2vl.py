"""Qwen2-VL: vision encoder, merger and language model in one module.

Shape letters: B batch, T tokens, D width, V vocabulary.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from qwen2vl_agent.model.cache import Cache, LayerCache
from qwen2vl_agent.model.config import Qwen2VLConfig
from qwen2vl_agent.model.constraint import Constraint
from qwen2vl_agent.model.generate import (
    NO_FORESIGHT,
    Ending,
    Foresight,
    GenerationResult,
    generate_batch,
    generate_one,
)
from qwen2vl_agent.model.initialise import initialise
from qwen2vl_agent.model.inputs import ModelInputs
from qwen2vl_agent.model.layers import Rotary, text_rotary
from qwen2vl_agent.model.linears import Linear
from qwen2vl_agent.model.masks import text_visibility
from qwen2vl_agent.model.sampling import Sampler, SamplingConfig
from qwen2vl_agent.model.text import LanguageModel
from qwen2vl_agent.model.vision import VisionEncoder
from qwen2vl_agent.model.vision_cache import VisionCache

SCORE_CHUNK = 256
"""Tokens whose logits `score` holds at once: 150 MB with the published vocabulary."""


class Qwen2VL(nn.Module):
    """The network. Parameters are `visual.*` (with `visual.merger.*`), `language_model.*` and, untied, `lm_head.*`."""

    def __init__(self, config: Qwen2VLConfig, seed: int | None = None) -> None:
        """Random weights, reproducible for a `seed`; none at all under `torch.device("meta")`."""
        super().__init__()
        self.config = config
        self.visual = VisionEncoder(config.vision, config.text.hidden_size)
        self.language_model = LanguageModel(config.text)
        self.lm_head = Linear(config.text.hidden_size, config.text.vocab_size, bias=False)
        self.tie_weights()
        if not self.lm_head.weight.is_meta:
            initialise(self, seed)

    @classmethod
    def from_pretrained(
        cls,
        folder_or_hub_id: str | Path,
        dtype: str | torch.dtype | None = "float32",
        quantize: str | None = None,
        quantize_vision: bool = False,
    ) -> "Qwen2VL":
        """The model of a folder, or of the hub (downloaded once, going on where a download broke off).

        `dtype` None keeps the type in the file. `quantize` (`int8` or `int4`) rounds the language model's linear
        layers on the way (`quantize.py`), `quantize_vision` the vision encoder's too; a checkpoint that was saved
        quantised is so already.

        Raises:
            CheckpointError: it is missing, incomplete, cannot be downloaded, or does not fit this network.
            ConfigError: this machine has no kernels for that quantisation.
        """
        from qwen2vl_agent.model.hf_checkpoint import load_model

        return load_model(folder_or_hub_id, dtype, quantize, quantize_vision)

    def save_pretrained(
        self, folder: str | Path, dtype: str | torch.dtype | None = None, max_shard_size: int = 5 * 10**9
    ) -> None:
        """Write `config.json`, `generation_config.json` and the weights in the published layout.

        `dtype` None keeps the weights' type; files of weights hold at most `max_shard_size` bytes.
        """
        from qwen2vl_agent.model.hf_checkpoint import save_model

        save_model(self, folder, dtype, max_shard_size)

    def tie_weights(self) -> None:
        """Make head and embedding one parameter again where the config says so (needed after `to_empty`)."""
        if self.config.tie_word_embeddings:
            self.lm_head.weight = self.language_model.embed_tokens.weight

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.language_model.embed_tokens.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights."""
        return self.language_model.embed_tokens.weight.dtype

    def forward(self, inputs: ModelInputs) -> Tensor:
        """Logits `[T, V]`, or `[B, T, V]` of a batch."""
        return self.lm_head(self.hidden_states(inputs))

    def hidden_states(self, inputs: ModelInputs, cache: Cache | None = None, last_only: bool = False) -> Tensor:
        """States after the final norm `[T, D]` or `[B, T, D]`; of the last token only, T is 1.

        With a cache (single sequences, no gradients) they are of the tokens that were not in it.
        """
        if cache is None:
            hidden_BTD = self.read(self.embed(inputs), inputs, None, last_only)
            return hidden_BTD if inputs.batched else hidden_BTD[0]
        with torch.inference_mode():
            rest = cache.rest(inputs, self.config)
            hidden_BTD = self.read(self.embed(rest, cache.vision), rest, cache, last_only)
            cache.keep(inputs, self.config)
        return hidden_BTD[0]

    def generate(
        self,
        inputs: ModelInputs,
        max_new_tokens: int = 64,
        temperature: float = 0.0,
        top_p: float = 1.0,
        top_k: int = 0,
        seed: int | None = None,
        stop: Sequence[Sequence[int]] = (),
        cache: Cache | None = None,
        on_token: Callable[[int], None] | None = None,
        constraint: Constraint | None = None,
        draft_tokens: int = 0,
        never: Sequence[int] = (),
    ) -> GenerationResult | list[GenerationResult]:
        """What the model writes after `inputs`, which hold the whole sequence; a list for a batch.

        Args:
            temperature: 0 takes the likeliest token.
            seed: makes the draws reproducible; row i of a batch draws with `seed + i`.
            stop: sequences of ids that end the text, as the ids of `config.eos_token_ids` do.
            cache: what it already holds of `inputs` is not read again; it keeps what was read and written.
            on_token: called with each id as soon as it is chosen.
            constraint: what the text may be, token by token; it serves one text.
            draft_tokens: so many tokens are guessed at a time from what stands before, which saves passes and, up to
                rounding, changes no token; 0: none.
            never: ids that are not chosen, such as those of `config.placeholders`.
        """
        ending = Ending(
            max_new_tokens=max_new_tokens, eos_token_ids=self.config.eos_token_ids, stop=tuple(map(tuple, stop))
        )
        sampling = SamplingConfig(temperature=temperature, top_p=top_p, top_k=top_k)
        foresight = Foresight(constraint=constraint, draft_tokens=draft_tokens)
        if not inputs.batched:
            return generate_one(self, inputs, ending, Sampler(sampling, seed, never), cache, on_token, foresight)
        if cache is not None or on_token is not None or foresight != NO_FORESIGHT:
            raise ValueError(
                "a batch takes neither cache nor on_token nor constraint nor draft_tokens; generate its rows one by one"
            )
        rows = range(len(inputs.input_ids))
        samplers = [Sampler(sampling, None if seed is None else seed + row, never) for row in rows]
        return generate_batch(self, inputs, ending, samplers)

    @torch.inference_mode()
    def score(self, inputs: ModelInputs) -> Tensor:
        """Log-probability `[T - 1]` (float32) of each id of one sequence given those before it."""
        assert not inputs.batched, "score takes one sequence"
        assert inputs.segment_lengths is None, "score takes one sequence"
        hidden_TD = self.hidden_states(inputs)[:-1]
        scores = []
        for hidden, ids in zip(hidden_TD.split(SCORE_CHUNK), inputs.input_ids[1:].split(SCORE_CHUNK), strict=True):
            logits = self.lm_head(hidden).float()
            scores.append(logits.gather(1, ids[:, None])[:, 0] - logits.logsumexp(-1))
        return torch.cat(scores)

    def embed(self, inputs: ModelInputs, vision: VisionCache | None = None) -> Tensor:
        """Embeddings `[B, T, D]` of the ids, vision tokens replaced by what the encoder makes of the patches.

        Pictures in `vision` are not encoded again (no gradients).
        """
        ids_BT = inputs.input_ids if inputs.batched else inputs.input_ids[None]
        x_BTD = self.language_model.embed_tokens(ids_BT)
        for pixels, grid, token_id in (
            (inputs.pixel_values, inputs.image_grid_thw, self.config.image_token_id),
            (inputs.pixel_values_videos, inputs.video_grid_thw, self.config.video_token_id),
        ):
            if pixels is not None and grid is not None:
                made = self.visual(pixels, grid) if vision is None else vision.encode(self.visual, pixels, grid)
                x_BTD = _place(x_BTD, ids_BT == token_id, made)
        if inputs.image_embeds is not None:
            x_BTD = _place(x_BTD, ids_BT == self.config.image_token_id, inputs.image_embeds)
        return x_BTD

    def rotary(self, positions_3BT: Tensor) -> Rotary:
        """M-RoPE's tables in the type of the weights."""
        text = self.config.text
        return text_rotary(positions_3BT, text.mrope_section, text.rope_theta, self.dtype)

    def read(
        self, x_BTD: Tensor, inputs: ModelInputs, cache: Cache | list[LayerCache] | None, last_only: bool
    ) -> Tensor:
        """States after the final norm `[B, T, D]` of embedded `inputs`, which follow what the cache holds."""
        layers = cache.layers(self.config.text.num_hidden_layers) if isinstance(cache, Cache) else cache
        seen = layers[0].length if layers else 0
        sees = text_visibility(x_BTD.shape[1], seen, inputs.attention_mask, inputs.segment_lengths, x_BTD.device)
        rotary = self.rotary(inputs.position_ids if inputs.batched else inputs.position_ids[:, None])
        return self.language_model(x_BTD, rotary, sees, layers, 1 if last_only else 0)


def _place(x_BTD: Tensor, where_BT: Tensor, features_VD: Tensor) -> Tensor:
    """`x_BTD` with `features_VD` in its marked places, in order.

    Raises:
        ValueError: there are more or fewer features than places.
    """
    places = where_BT.flatten().nonzero().flatten()
    if len(places) != len(features_VD):
        raise ValueError(f"{len(places)} vision tokens in the text, but {len(features_VD)} from the patches")
    return x_BTD.flatten(0, 1).index_copy(0, places, features_VD.to(x_BTD.dtype)).view_as(x_BTD)
