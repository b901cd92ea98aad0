"""How fast the true 2B network runs on one CUDA device beside `transformers`: random weights, bfloat16, one process.

    python benchmarks/gpu.py                  all keys; not yet run to its end (docs/not-verified.md)
    python benchmarks/gpu.py --json FILE      the same as data, with the device's name

Both networks hold the same tensors; the peer is `transformers` with SDPA, its default. Times are medians by the host's
clock around synchronised calls. `train` is forward and backward of one packed row of 8 conversations, 8,192 tokens with
a screen of 738 in each, all weights learning, and for the peer the same conversations as a batch.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from inference_networks import peer_of, random_model
from rich.console import Console
from rich.table import Table

from qwen2vl_agent.model.cache import Cache
from qwen2vl_agent.model.config import preset
from qwen2vl_agent.model.inputs import ModelInputs, pack
from qwen2vl_agent.model.mrope import mrope_positions

GPU = torch.device("cuda")
GRIDS = {"738": (1, 82, 36), "1272": (1, 106, 48)}
ROWS, LENGTH = 8, 1024
DECODED = 32
"""Tokens that are written one after another."""


def seconds(call: Callable[[], Any], times: int = 7) -> float:
    """Median of a synchronised call, after two that warm up."""
    taken = []
    for number in range(times + 2):
        torch.cuda.synchronize()
        began = time.perf_counter()
        call()
        torch.cuda.synchronize()
        if number > 1:
            taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def conversation(config: Any, grid: tuple[int, int, int] | None, tokens: int) -> ModelInputs:
    """A screen between random words, `tokens` in all."""
    words = torch.randint(0, 1000, (tokens,))
    grids, pixels = None, None
    if grid is not None:
        seen = grid[1] * grid[2] // 4
        words[20 : 20 + seen] = config.image_token_id
        grids, pixels = torch.tensor([grid]), torch.randn(grid[1] * grid[2], 1176, dtype=torch.bfloat16)
    return ModelInputs(words, mrope_positions(words, grids, None, config), pixels, grids).to(GPU)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures there")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("no CUDA device: this benchmark needs one; benchmarks/inference.py measures the CPU")
    torch.manual_seed(0)
    ours = random_model(preset("2b")).to(GPU)
    ours.tie_weights()
    peer = peer_of(ours).to(GPU)
    pairs: dict[str, tuple[float, float]] = {}
    with torch.inference_mode():
        for name, grid in GRIDS.items():
            pairs[f"vit_{name}"] = vision(ours, peer, grid)
        for tokens in (1024, 4096):
            pairs[f"prefill_{tokens}"] = prefill(ours, peer, tokens)
            pairs[f"decode_{tokens}"] = decode(ours, peer, tokens)
    pairs["train"] = train(ours, peer)
    report(pairs, options.json)


def vision(ours: Any, peer: Any, grid: tuple[int, int, int]) -> tuple[float, float]:
    """One screen through the vision encoder."""
    pixels, grids = torch.randn(grid[1] * grid[2], 1176, dtype=torch.bfloat16, device=GPU), torch.tensor([grid])
    on_device = grids.to(GPU)
    return seconds(lambda: ours.visual(pixels, grids)), seconds(lambda: peer.model.visual(pixels, on_device))


def prefill(ours: Any, peer: Any, tokens: int) -> tuple[float, float]:
    """The first token's logits after so many tokens of text."""
    inputs = conversation(ours.config, None, tokens)
    ids = inputs.input_ids[None]
    return (
        seconds(lambda: ours.hidden_states(inputs, Cache(), last_only=True)),
        seconds(lambda: peer(input_ids=ids, use_cache=True, logits_to_keep=1)),
    )


def decode(ours: Any, peer: Any, tokens: int) -> tuple[float, float]:
    """A token, greedily, after so many: the time of `DECODED` more without the prefill's."""
    inputs = conversation(ours.config, None, tokens)
    ids = inputs.input_ids[None]
    mask = torch.ones_like(ids)

    def our_text(count: int) -> float:
        return seconds(lambda: ours.generate(inputs, max_new_tokens=count), 3)

    def peers_text(count: int) -> float:
        words = {"max_new_tokens": count, "min_new_tokens": count, "do_sample": False, "pad_token_id": 0}
        return seconds(lambda: peer.generate(input_ids=ids, attention_mask=mask, **words), 3)

    return tuple((text(1 + DECODED) - text(1)) / DECODED for text in (our_text, peers_text))  # type: ignore[return-value]


def train(ours: Any, peer: Any) -> tuple[float, float]:
    """Forward and backward of `ROWS` conversations."""
    rows = [conversation(ours.config, GRIDS["738"], LENGTH) for _ in range(ROWS)]
    row = pack(rows)
    batch = {
        "input_ids": torch.stack([one.input_ids for one in rows]),
        "pixel_values": row.pixel_values,
        "image_grid_thw": row.image_grid_thw,
        "attention_mask": torch.ones(ROWS, LENGTH, dtype=torch.int64, device=GPU),
        "mm_token_type_ids": torch.stack([(one.input_ids == ours.config.image_token_id).int() for one in rows]),
    }

    def our_step() -> None:
        F.cross_entropy(ours(row)[:-1].float(), row.input_ids[1:]).backward()
        ours.zero_grad(set_to_none=True)

    def peers_step() -> None:
        peer(**batch, labels=batch["input_ids"]).loss.backward()
        peer.zero_grad(set_to_none=True)

    taken = []
    for network, step in ((ours.train(), our_step), (peer.train(), peers_step)):
        network.requires_grad_(True)
        taken.append(seconds(step, 5))
        network.requires_grad_(False)
        torch.cuda.empty_cache()
    return taken[0], taken[1]


def report(pairs: dict[str, tuple[float, float]], file: Path | None) -> None:
    """The table, and the file where one is wanted."""
    name = torch.cuda.get_device_name()
    table = Table("what", "ours, ms", "transformers, ms", "ratio", title=f"2B on {name}, torch {torch.__version__}")
    for key, (own, other) in pairs.items():
        table.add_row(key, f"{own * 1e3:.2f}", f"{other * 1e3:.2f}", f"{other / own:.2f}")
    Console(width=100).print(table)
    if file:
        values = {key: {"ours_s": own, "transformers_s": other} for key, (own, other) in pairs.items()}
        file.write_text(json.dumps({"device": name, "torch": torch.__version__, "pairs": values}, indent=2) + "\n")


if __name__ == "__main__":
    main()
