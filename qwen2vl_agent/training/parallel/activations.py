"""How many bytes a process keeps for backward: what each block's operations hold, summed up by hand.

Every term below is a tensor that autograd keeps, named by what it is. Attention is a fused kernel's, which keeps its
inputs and its output; a CPU in bfloat16 attends in float32 and keeps more. The tests compare with what a small network
really holds.

Shape letters: T tokens of a micro-batch, P patches, D width of a block, F of its feed-forward part. `parts` is tensor
parallel: residuals and norms hold T / parts tokens, products' inputs are whole, their outputs 1 / parts as wide.
"""

from dataclasses import dataclass

from qwen2vl_agent.model.config import Qwen2VLConfig
from qwen2vl_agent.training.parallel.activation_checkpoint import Recompute

WIDE = 4
"""Bytes of a float32, in which norms and losses are computed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One micro-batch as a process sees it."""

    tokens: int
    patches: int
    item: int
    """Bytes of a number: 2 in bfloat16, 4 in float32."""
    parts: int = 1
    """Tensor-parallel processes."""


def decoder_block(config: Qwen2VLConfig, row: Row, recompute: Recompute) -> float:
    """Bytes of one layer of the language model."""
    text, item, parts = config.text, row.item, row.parts
    width, own = text.hidden_size, row.tokens / parts
    heads, keys = width / parts, text.num_key_value_heads * text.head_dim / parts
    hidden = text.intermediate_size / parts
    if recompute == "full":
        return own * width * item  # its input
    if recompute == "selective":
        summed = 2 * width if parts == 1 else 0  # the second products' outputs; of summands nothing is kept
        products = (heads + 2 * keys) + heads + 2 * hidden + summed  # q, k, v; attention; gate, up
        return own * width * item + row.tokens * products * item
    norms = 2 * own * width * (WIDE + item)  # each: its input in float32, and what the weight multiplies
    inputs = 2 * width  # of attention's and of the feed-forward part's products
    attention = 2 * heads + 2 * keys  # turned q and k, v, and the output
    forward = 4 * hidden  # gate, its SiLU, up, and their product
    return norms + row.tokens * (inputs + attention + forward) * item


def vision_block(config: Qwen2VLConfig, row: Row, recompute: Recompute) -> float:
    """Bytes of one block of the vision encoder."""
    vision, item = config.vision, row.item
    parts = row.parts if vision.num_heads % row.parts == 0 else 1
    width, own = vision.embed_dim, row.patches / parts
    heads, hidden = width / parts, width * vision.mlp_ratio / parts
    if recompute == "full":
        return own * width * item
    if recompute == "selective":
        summed = 2 * width if parts == 1 else 0
        return own * width * item + row.patches * (3 * heads + heads + hidden + summed) * item
    norms = 2 * own * width * WIDE  # each keeps its input
    return norms + row.patches * (2 * width + 4 * heads + 2 * hidden) * item


def merger(config: Qwen2VLConfig, row: Row) -> float:
    """Bytes of the merger, whole on every process: the norm's input, and inputs of both products and of the GELU."""
    return row.patches * config.vision.embed_dim * (WIDE + 3 * row.item)


def head(config: Qwen2VLConfig, row: Row) -> float:
    """Bytes of the final norm and of the states to predict from, if every token is a target."""
    width = config.text.hidden_size
    norm = row.tokens / row.parts * width * (WIDE + row.item)
    return norm + row.tokens * width * row.item


def logits(config: Qwen2VLConfig, row: Row, chunk: int) -> float:
    """Bytes of at most `chunk` targets' logits, their softmax and their gradient, at the moment when all exist."""
    return min(chunk, row.tokens) * config.text.vocab_size / row.parts * (2 * WIDE + row.item)
