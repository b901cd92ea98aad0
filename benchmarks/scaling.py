"""Loss by a network's weights N and its training tokens D: `python benchmarks/scaling.py --out docs/images`.

Pictures of two by two textures, 4096 of them, drawn by Zipf's law and with noise; each has a name of two words that
follows from nothing. Four sizes are trained with four budgets each (the cosine ends with the budget), at each of a few
learning rates of which the best counts, and L(N, D) = E + A / N^a + B / D^b is fitted to the held-out losses by Huber's
loss of log L, as Chinchilla's authors fitted theirs (arXiv 2203.15556, approach 3). Intervals are from 200 bootstrap
fits over the runs. A fifth size is left out of the fit and predicted.

Every run is kept in `scaling-runs.jsonl` as it ends, so that the study goes on where it was stopped.
"""

import argparse
import json
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from small_worlds import held_out_loss, network, seen, textures, train
from torch import Tensor

from qwen2vl_agent.data.packing import Batch, pack
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.training.config import TrainConfig

SIZES = {16: 1, 32: 1, 48: 2, 64: 2}
"""Width and layers."""
HELD_OUT = (96, 2)
BUDGETS = (8_000, 24_000, 72_000, 216_000)
"""Tokens."""
ROW, LENGTH, NAMES, SHADES = 64, 5, 64, 8
LR, RATES = 4e-3, (1.0, 3.0)
"""At width 32, and its multiples; falls with the root of the width."""
NAMED = ("E", "A", "a", "B", "b")


class World:
    """Batches by number, and some that no training sees."""

    def __init__(self, width: int, layers: int) -> None:
        self.config = network(width, layers, head=16)
        rng = np.random.default_rng(1)
        self._textures = textures(SHADES)
        self._names = rng.integers(0, NAMES, (SHADES**4, 2)) + np.array([0, NAMES])
        odds = 1 / np.arange(1, SHADES**4 + 1)
        self._odds = odds / odds.sum()
        blank = seen(np.zeros((4, 1176), np.float32), [0, 0], self.config, (1, 2, 2), video=False)
        self._blank = pack([blank] * ROW)

    def batch(self, number: int) -> Batch:
        """64 pictures with their names."""
        rng = np.random.default_rng([2, number])
        kinds = rng.choice(len(self._odds), ROW, p=self._odds)
        parts = np.stack(np.unravel_index(kinds, (SHADES,) * 4), 1)
        pixels = self._textures[parts.reshape(-1)]
        pixels += rng.standard_normal(pixels.shape, dtype=np.float32)
        named = torch.from_numpy(self._names[kinds].reshape(-1))
        blank, learnt = self._blank, self._blank.labels >= 0
        ids, labels = blank.inputs.input_ids.clone(), blank.labels.clone()
        ids[learnt] = labels[learnt] = named
        inputs = replace(blank.inputs, input_ids=ids, pixel_values=torch.from_numpy(pixels))
        return replace(blank, inputs=inputs, labels=labels, targets=replace(blank.targets, ids=named))


def weights(model: Qwen2VL) -> int:
    """Those of the blocks and the merger: neither embeddings nor the patches' projection."""
    return sum(p.numel() for name, p in model.named_parameters() if "embed" not in name and "lm_head" not in name)


def run(width: int, layers: int, tokens: int, rate: float) -> dict[str, Any]:
    """One training from nothing."""
    world = World(width, layers)
    model, steps = Qwen2VL(world.config, seed=0), tokens // (ROW * LENGTH)
    lr = rate * LR * (32 / width) ** 0.5
    config = TrainConfig(steps=steps, lr=lr, warmup_steps=min(30, steps // 4), dtype="float32", weight_decay=0.0)
    train(model, world.batch, config)
    loss = held_out_loss(model, [world.batch(10**6 + number) for number in range(32)])
    return {"width": width, "N": weights(model), "D": tokens, "rate": rate, "loss": loss}


def best(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each size and budget the run with the lowest loss."""
    found: dict[tuple[int, int], dict[str, Any]] = {}
    for one in sorted(runs, key=lambda one: -one["loss"]):
        found[one["N"], one["D"]] = one
    return sorted(found.values(), key=lambda one: (one["N"], one["D"]))


def predicted(fits: Tensor, n: Tensor, d: Tensor) -> Tensor:
    """log L(N, D) of each fit `[F, 5]` for each run `[F, R]`; a fit holds the logarithms of E, A and B."""
    e, a, alpha, b, beta = fits[:, :, None].unbind(1)
    terms = torch.stack(torch.broadcast_tensors(e, a - alpha * n.log(), b - beta * d.log()))
    return terms.logsumexp(0)


def fitted(n: Tensor, d: Tensor, loss: Tensor, starts: int = 64) -> Tensor:
    """The best fit `[B, 5]` to each of B sets of runs `[B, R]`, from several beginnings each; all at once, by Adam."""
    sets, noise = len(n), torch.Generator().manual_seed(0)
    low, high = torch.tensor([[-3.0, -1, 0.05, -1, 0.05], [1.0, 8, 1.0, 8, 1.0]]).double()
    begun = low + (high - low) * torch.rand(sets * starts, 5, generator=noise, dtype=torch.float64)
    fits = begun.requires_grad_()
    n, d, wanted = (x.repeat_interleave(starts, 0) for x in (n, d, loss.log()))
    optimizer = torch.optim.Adam([fits], lr=0.05)
    for step in range(3000):
        optimizer.param_groups[0]["lr"] = 0.05 * (1 - step / 3000)
        cost = torch.nn.functional.huber_loss(predicted(fits, n, d), wanted, reduction="none", delta=1e-2).sum(1)
        optimizer.zero_grad()
        cost.sum().backward()
        optimizer.step()
    best = cost.detach().view(sets, starts).argmin(1)
    return fits.detach().view(sets, starts, 5)[torch.arange(sets), best]


def told(fit: Tensor) -> dict[str, float]:
    """The constants under their names."""
    return {name: float(v.exp() if name in "EAB" else v) for name, v in zip(NAMED, fit, strict=True)}


def study(runs: list[dict[str, Any]], held: list[dict[str, Any]]) -> dict[str, Any]:
    """The fit with its intervals, and how it predicts the size that it has not seen."""
    n, d, loss = (torch.tensor([[one[key] for one in runs]], dtype=torch.float64) for key in ("N", "D", "loss"))
    best = fitted(n, d, loss)
    drawn = torch.randint(0, len(runs), (200, len(runs)), generator=torch.Generator().manual_seed(0))
    again = fitted(n[0][drawn], d[0][drawn], loss[0][drawn], starts=8)
    low, high = again.quantile(torch.tensor([0.025, 0.975]).double(), dim=0)
    outside = []
    for one in held:
        at = torch.tensor([[one["N"]]]).double(), torch.tensor([[one["D"]]]).double()
        spread = predicted(again, *at)[:, 0].exp().quantile(torch.tensor([0.025, 0.975]).double())
        outside.append({**one, "predicted": float(predicted(best, *at).exp()), "interval": spread.tolist()})
    return {"fit": told(best[0]), "low": told(low), "high": told(high), "runs": runs, "held_out": outside}


def draw(found: dict[str, Any], file: Path) -> None:
    """Losses and the fit's curves."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes, fit = figure.subplots(), found["fit"]
    for size in sorted({one["N"] for one in found["runs"] + found["held_out"]}):
        points = [one for one in found["runs"] + found["held_out"] if one["N"] == size]
        held = "predicted" in points[0]
        tokens = np.geomspace(min(BUDGETS), max(BUDGETS), 60)
        curve = fit["E"] + fit["A"] / size ** fit["a"] + fit["B"] / tokens ** fit["b"]
        (line,) = axes.plot(tokens, curve, linewidth=1.2, linestyle="--" if held else "-")
        name = f"N = {size:,}" + (" (not in the fit)" if held else "")
        axes.plot([p["D"] for p in points], [p["loss"] for p in points], "o", color=line.get_color(), label=name)
    axes.set(xscale="log", yscale="log", xlabel="training tokens D", ylabel="held-out loss, nats", title="L(N, D)")
    axes.grid(visible=True, which="both", alpha=0.25)
    axes.legend(fontsize=8)
    figure.savefig(file, dpi=120)


def table(found: dict[str, Any]) -> str:
    """The losses in Markdown: a row for each size, a column for each budget."""
    cells = {(one["N"], one["D"]): one for one in found["runs"] + found["held_out"]}
    budgets = sorted({tokens for _, tokens in cells})
    lines = ["| N | " + " | ".join(f"D = {tokens:,}" for tokens in budgets) + " |", "| --- |" + " --- |" * len(budgets)]
    for size in sorted({size for size, _ in cells}):
        row = [cells.get((size, tokens)) for tokens in budgets]
        lines.append(f"| {size:,} | " + " | ".join(f"{one['loss']:.2f}" if one else "" for one in row) + " |")
        if any(one and "predicted" in one for one in row):
            lines.append("| predicted | " + " | ".join(_told(one) for one in row) + " |")
    return "\n".join(lines)


def _told(one: dict[str, Any] | None) -> str:
    return "{predicted:.2f} ({interval[0]:.2f} to {interval[1]:.2f})".format(**one) if one else ""


def main() -> None:
    """Runs what is not in `scaling-runs.jsonl` yet, fits, and draws."""
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--out", type=Path, required=True)
    flags.add_argument("--train-none", action="store_true", help="fit what is there")
    given = flags.parse_args()
    out = given.out
    torch.set_num_threads(1)
    kept = out / "scaling-runs.jsonl"
    done = [json.loads(line) for line in kept.read_text("utf-8").splitlines()] if kept.is_file() else []
    there = {(one["width"], one["D"], one["rate"]) for one in done}
    for rate, (width, layers), tokens in product(RATES, [*SIZES.items(), HELD_OUT], BUDGETS):
        if given.train_none or (width, tokens, rate) in there:
            continue
        done.append(run(width, layers, tokens, rate))
        print(json.dumps(done[-1]), flush=True)
        with kept.open("a", encoding="utf-8") as file:
            file.write(json.dumps(done[-1]) + "\n")
    chosen = best(done)
    held = [one for one in chosen if one["width"] == HELD_OUT[0]]
    found = study([one for one in chosen if one["width"] != HELD_OUT[0]], held)
    (out / "scaling.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    draw(found, out / "scaling.png")
    print(table(found))
    print(json.dumps({key: found[key] for key in ("fit", "low", "high")}, indent=1))


if __name__ == "__main__":
    main()
