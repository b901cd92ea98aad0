"""The language model: Qwen2's decoder with M-RoPE.

Shape letters: B batch, T new tokens, D width, N query heads, K key and value heads, H head dimension.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from qwen2vl_agent.model.attention import attend
from qwen2vl_agent.model.cache import KeysAndValues
from qwen2vl_agent.model.config import TextConfig
from qwen2vl_agent.model.layers import RMSNorm, Rotary, SwiGLU
from qwen2vl_agent.model.linears import Linear, together
from qwen2vl_agent.model.masks import Visibility


class SelfAttention(nn.Module):
    """Grouped-query attention; only the query, key and value projections have a bias.

    It builds neither mask nor positions. Causality, packing and caching all arrive from outside, so that one code path
    serves training, prefill and decoding.
    """

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.head_dim = config.head_dim
        kv_width = config.num_key_value_heads * config.head_dim
        self.q_proj = Linear(config.hidden_size, config.hidden_size)
        self.k_proj = Linear(config.hidden_size, kv_width)
        self.v_proj = Linear(config.hidden_size, kv_width)
        self.o_proj = Linear(config.hidden_size, config.hidden_size, bias=False)

    def forward(self, x_BTD: Tensor, rotary: Rotary, sees: Visibility, cache: KeysAndValues | None) -> Tensor:
        q_BTD, k_BTD, v_BTD = self.projections(x_BTD)
        q_BTNH, k_BTKH = rotary.rotate(self._heads(q_BTD)), rotary.rotate(self._heads(k_BTD))
        looked_up = attend if cache is None else cache.attend
        return self.o_proj(looked_up(q_BTNH, k_BTKH, self._heads(v_BTD), sees))

    def projections(self, x_BTD: Tensor) -> Sequence[Tensor]:
        """Queries, keys and values, all heads in a row."""
        return together(x_BTD, self.q_proj, self.k_proj, self.v_proj)

    def _heads(self, x_BTD: Tensor) -> Tensor:
        return x_BTD.unflatten(-1, (-1, self.head_dim))


class DecoderLayer(nn.Module):
    """A pre-norm transformer layer."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = SelfAttention(config)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = SwiGLU(config.hidden_size, config.intermediate_size)

    def forward(self, x_BTD: Tensor, rotary: Rotary, sees: Visibility, cache: KeysAndValues | None = None) -> Tensor:
        x_BTD = x_BTD + self.self_attn(self.input_layernorm(x_BTD), rotary, sees, cache)
        return x_BTD + self.mlp(self.post_attention_layernorm(x_BTD))


class LanguageModel(nn.Module):
    """Token embedding, decoder layers and final norm; the head is `Qwen2VL.lm_head`."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(
        self,
        x_BTD: Tensor,
        rotary: Rotary,
        sees: Visibility,
        caches: Sequence[KeysAndValues] | None = None,
        keep: int = 0,
    ) -> Tensor:
        """Hidden states after the final norm, of the last `keep` tokens or of all (0)."""
        for index, layer in enumerate(self.layers):
            x_BTD = layer(x_BTD, rotary, sees, caches[index] if caches is not None else None)
        return self.norm(x_BTD[:, -keep:] if keep else x_BTD)
