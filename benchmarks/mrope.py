"""Longer videos than those trained on: M-RoPE beside 1D-RoPE, `python benchmarks/mrope.py --out docs/images`.

Every frame of a video is four tokens of one texture. A question after it asks for the last frame's texture, that of the
one before, or of the one before that. Nothing but its place tells a frame from the others: the same network without any
positions is the control. Networks learn on videos of 3 to 8 frames (12 to 32 tokens, N = 32; short ones first) and are
asked about 32, 64 and 128 tokens. 1D-RoPE is the same network with one position a token, in all three components.

Every run is kept in `mrope-runs.jsonl` as it ends, so that the study goes on where it was stopped.
"""

import argparse
import json
from collections import defaultdict
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from small_worlds import accuracy, network, seen, textures, train

from qwen2vl_agent.data.packing import IGNORED, Batch, Row, pack
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.training.config import TrainConfig

TOKENS, KINDS, BACK, LONGEST = 4, 8, 3, 8
ASKED = (LONGEST, 2 * LONGEST, 4 * LONGEST)
"""Frames of the videos that are asked about."""
CONFIG = network(48, 2)
NOISY = 8
TEXTURES = textures(KINDS)[:, None] + 0.3 * textures(NOISY, seed=8)
ASK, STEPS, LONGER_EVERY = 100, 240, 15
"""Word before the three questions; steps of a run, and those after which videos may be a frame longer."""
POSITIONS = ("M-RoPE", "1D-RoPE", "none")
STUDENT = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57}
"""By the number of seeds: half of a 95 % interval of their mean, in standard errors."""


def video(rng: np.random.Generator, frames: int, positions: str) -> Row:
    """A video, a question and the answer. A token's four patches show the same texture, with noise."""
    shown, back = rng.integers(0, KINDS, frames), int(rng.integers(1, BACK + 1))
    each = np.repeat(shown, 4 * TOKENS)
    patches = TEXTURES[each, rng.integers(0, NOISY, len(each))]
    row = seen(patches, [ASK + back, int(shown[-back])], CONFIG, (frames, 2, 2 * TOKENS), video=True)
    row.labels[-2] = IGNORED
    if positions == "M-RoPE":
        return row
    along = torch.arange(row.num_tokens) if positions == "1D-RoPE" else torch.zeros(row.num_tokens, dtype=torch.long)
    return replace(row, inputs=replace(row.inputs, position_ids=along.expand(3, -1).clone()))


def run(positions: str, seed: int, steps: int) -> dict[str, Any]:
    """Train one network and ask it about longer videos."""

    def batch(step: int) -> Batch:
        rng = np.random.default_rng([seed, step])
        frames = int(rng.integers(BACK, min(LONGEST, BACK + step // LONGER_EVERY) + 1))
        return pack([video(rng, frames, positions) for _ in range(12)])

    model = Qwen2VL(CONFIG, seed=seed)
    config = TrainConfig(steps=steps, lr=4e-3, warmup_steps=30, dtype="float32", weight_decay=0.01)
    train(model, batch, config)
    rng = np.random.default_rng([seed, 10**6])
    right = [accuracy(model, [video(rng, frames, positions) for _ in range(128)]) for frames in ASKED]
    return {"positions": positions, "seed": seed, "steps": steps, "right": right}


def summary(runs: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Percent of right answers at N, 2 N and 4 N: the mean over seeds, and half of its 95 % interval."""
    found = defaultdict(list)
    for one in runs:
        found[one["positions"]].append(one["right"])
    told = {}
    for name, right in found.items():
        percent, seeds = 100 * np.array(right), len(right)
        half = STUDENT[seeds] * percent.std(axis=0, ddof=1) / seeds**0.5 if seeds > 1 else np.full(len(ASKED), np.nan)
        told[name] = {"seeds": seeds, "mean": percent.mean(axis=0).round(1).tolist(), "half": half.round(1).tolist()}
    return told


def draw(runs: list[dict[str, Any]], file: Path) -> None:
    """Every run's line, and the means."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for name, colour in zip(POSITIONS, ("C0", "C1", "C2"), strict=True):
        found = [[100 * share for share in one["right"]] for one in runs if one["positions"] == name]
        for line in found:
            axes.plot(range(len(ASKED)), line, color=colour, alpha=0.35, linewidth=1)
        if found:
            axes.plot(
                range(len(ASKED)), np.mean(found, axis=0), "o-", color=colour, label=f"{name}, {len(found)} seeds"
            )
    axes.axhline(100 / KINDS, color="grey", linestyle=":", label="chance")
    axes.set_xticks(range(len(ASKED)), ["N = 32 tokens", "2 N", "4 N"])
    axes.set(ylabel="right answers, percent", ylim=(0, 102), title="trained on videos of at most N tokens")
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(file, dpi=120)


def main() -> None:
    """All kinds of positions, from several seeds, but for the runs that are there already."""
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--out", type=Path, required=True)
    flags.add_argument("--steps", type=int, default=STEPS)
    flags.add_argument("--seeds", type=int, default=3)
    flags.add_argument("--positions", nargs="+", choices=POSITIONS, default=POSITIONS, help="only these")
    given = flags.parse_args()
    torch.set_num_threads(1)
    kept = given.out / "mrope-runs.jsonl"
    runs = [json.loads(line) for line in kept.read_text("utf-8").splitlines()] if kept.is_file() else []
    runs = [one for one in runs if one["steps"] == given.steps]
    there = {(one["positions"], one["seed"]) for one in runs}
    for seed, positions in product(range(given.seeds), given.positions):
        if (positions, seed) in there:
            continue
        runs.append(run(positions, seed, given.steps))
        print(json.dumps(runs[-1]), flush=True)
        with kept.open("a", encoding="utf-8") as file:
            file.write(json.dumps(runs[-1]) + "\n")
    print(json.dumps(summary(runs), indent=1))
    draw(runs, given.out / "mrope.png")


if __name__ == "__main__":
    main()
