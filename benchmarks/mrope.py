"""Longer videos than those trained on: M-RoPE beside 1D-RoPE, `python benchmarks/mrope.py --out docs/images`.

Every frame of a video shows four textures, a token each. One of them, anywhere, has a mark laid over it; the answer
names that texture. Networks learn on videos of 2 to 8 frames (8 to 32 tokens, N = 32) and are asked about 32, 64 and
128 tokens. 1D-RoPE is the same network with one position a token, in all three components.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from small_worlds import accuracy, network, seen, textures, train

from qwen2vl_agent.data.packing import Batch, Row, pack
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.training.config import TrainConfig

TOKENS, KINDS, FRAMES, LONGEST = 4, 8, (2, 8), 8
CONFIG = network(48, 2)
NOISY = 8
TEXTURES = textures(KINDS + 1)[:, None] + 0.3 * textures(NOISY, seed=8)
MARK = KINDS


def video(rng: np.random.Generator, frames: int, one_dimension: bool) -> Row:
    """A video and the answer. A token's four patches show the same texture, with noise."""
    shown = rng.integers(0, KINDS, (frames, TOKENS))
    at = int(rng.integers(frames))
    place = int(rng.integers(TOKENS))
    answer = int(shown[at, place])
    each = np.repeat(shown.reshape(-1), 4)
    patches = TEXTURES[each, rng.integers(0, NOISY, len(each))]
    marked = 4 * (at * TOKENS + place)
    patches[marked : marked + 4] += TEXTURES[MARK, 0]
    row = seen(patches, [answer], CONFIG, (frames, 2, 2 * TOKENS), video=True)
    if not one_dimension:
        return row
    flat = torch.arange(row.num_tokens).expand(3, -1).clone()
    return replace(row, inputs=replace(row.inputs, position_ids=flat))


def run(one_dimension: bool, seed: int, steps: int) -> dict[str, Any]:
    """Train one network and ask it about longer videos."""

    def batch(step: int) -> Batch:
        rng = np.random.default_rng([seed, step])
        frames = int(rng.integers(FRAMES[0], FRAMES[1] + 1))
        return pack([video(rng, frames, one_dimension) for _ in range(12)])

    model = Qwen2VL(CONFIG, seed=seed)
    config = TrainConfig(steps=steps, lr=3e-3, warmup_steps=50, dtype="float32", weight_decay=0.01)
    seconds = train(model, batch, config)
    rng = np.random.default_rng([seed, 10**6])
    right = {
        str(TOKENS * frames): accuracy(model, [video(rng, frames, one_dimension) for _ in range(128)])
        for frames in (LONGEST, 2 * LONGEST, 4 * LONGEST)
    }
    return {"kind": "1D-RoPE" if one_dimension else "M-RoPE", "seed": seed, "right": right, "seconds": round(seconds)}


def draw(runs: list[dict[str, Any]], file: Path) -> None:
    """Every run's line."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for kind, colour in (("M-RoPE", "C0"), ("1D-RoPE", "C1")):
        found = [[100 * share for share in one["right"].values()] for one in runs if one["kind"] == kind]
        for line in found:
            axes.plot(range(3), line, color=colour, alpha=0.35, linewidth=1)
        axes.plot(range(3), np.mean(found, axis=0), "o-", color=colour, label=f"{kind}, mean of {len(found)}")
    axes.axhline(100 / KINDS, color="grey", linestyle=":", label="chance")
    axes.set_xticks(range(3), ["N = 32 tokens", "2 N", "4 N"])
    axes.set(ylabel="right answers, percent", ylim=(0, 102), title="trained on videos of at most N tokens")
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(file, dpi=120)


def main() -> None:
    """Both kinds, from several seeds."""
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--out", type=Path, required=True)
    flags.add_argument("--steps", type=int, default=400)
    flags.add_argument("--seeds", type=int, default=2)
    given = flags.parse_args()
    torch.set_num_threads(1)
    runs = []
    for seed in range(given.seeds):
        for one_dimension in (False, True):
            runs.append(run(one_dimension, seed, given.steps))
            print(json.dumps(runs[-1]), flush=True)
    (given.out / "mrope.json").write_text(json.dumps(runs, indent=1) + "\n", "utf-8")
    draw(runs, given.out / "mrope.png")


if __name__ == "__main__":
    main()
