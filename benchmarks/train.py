"""Training beside what is usual, on this machine: `python benchmarks/train.py trainer | pipeline`.

`trainer`: packed rows beside transformers' Trainer (`pip install accelerate`) on the same network, weights, examples
and targets (both find the same loss first), with one thread. The Trainer groups batches by length, and the best of its
batch sizes counts. Pictures and texts, most of them short and a few long. `pipeline`: 1F1B over two processes with rows
of their own lengths, beside the same rows padded to the longest. Both are told as ratios of processor time, which other
programs change little.
"""

import argparse
import json
import os
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import trainer_peer
from small_worlds import network, textures
from trainer_peer import Setting

from qwen2vl_agent.data.packing import Batch, Row, pack
from qwen2vl_agent.model.config import Qwen2VLConfig
from qwen2vl_agent.model.inputs import ModelInputs
from qwen2vl_agent.model.mrope import mrope_positions
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.training.config import TrainConfig
from qwen2vl_agent.training.loss import target_loss
from qwen2vl_agent.training.optim import make_optimizer
from qwen2vl_agent.training.parallel.apply import apply_parallel
from qwen2vl_agent.training.parallel.exchange import padded
from qwen2vl_agent.training.parallel.grid import make_grid
from qwen2vl_agent.training.parallel.layout import Layout
from qwen2vl_agent.training.parallel.replicas import Replicas, run_replicas
from qwen2vl_agent.training.parallel.step import ParallelStep
from qwen2vl_agent.training.step import train_step

CONFIG = network(128, 4, head=32)
EXAMPLES, ROW_TOKENS = 96, 1024
DTYPES: dict[str, Literal["bfloat16", "float32"]] = {"bf16": "bfloat16", "float32": "float32"}
SETTINGS = [
    *(Setting(batch=batch) for batch in (4, 8, 16, 32)),
    *(Setting(batch=batch, bf16=False) for batch in (8, 16)),
]
PATCHES = textures(64)


def examples(count: int, config: Qwen2VLConfig, longest: int = 400) -> list[Row]:
    """Two thirds have a picture of 8 to 96 patches; texts have 10 to `longest` words, most of them few."""
    rng, made = np.random.default_rng(0), []
    for number in range(count):
        words = int(np.clip(rng.lognormal(3.6, 1.0), 10, longest))
        grid = [1, 2 * int(rng.integers(1, 5)), 2 * int(rng.integers(2, 7))] if number % 3 else None
        ids = [152, *[150] * (grid[1] * grid[2] // 4), 153] if grid else [3]
        start = len(ids)
        ids += rng.integers(4, 140, words).tolist()
        labels = [-100] * (start + words // 4) + ids[start + words // 4 :]
        positions = mrope_positions(ids, [grid] if grid else [], [], config)
        pixels = torch.from_numpy(PATCHES[rng.integers(0, 64, grid[1] * grid[2])]) if grid else None
        where = torch.tensor([grid]) if grid else None
        made.append(Row(ModelInputs(torch.tensor(ids), positions, pixels, where), torch.tensor(labels), "made-up"))
    return made


def packed(rows: list[Row], tokens: int) -> list[Batch]:
    """Rows one after the other, as many as fit."""
    batches, held = [], []
    for row in rows:
        if held and sum(one.num_tokens for one in held) + row.num_tokens > tokens:
            batches.append(pack(held))
            held = []
        held.append(row)
    return [*batches, pack(held)]


def ours(weights: Path, rows: list[Row], dtype: Literal["bfloat16", "float32"]) -> float:
    """Processor seconds of one pass over the examples, after a first one."""
    model = Qwen2VL.from_pretrained(weights, dtype="float32")
    config = TrainConfig(steps=1, dtype=dtype, lr=1e-4)
    optimizer, batches = make_optimizer(model, config), packed(rows, ROW_TOKENS)
    for batch in batches:
        train_step(model, optimizer, [batch], config)
    began = time.process_time()
    for batch in batches:
        train_step(model, optimizer, [batch], config)
    return time.process_time() - began


@torch.no_grad()
def our_mean_loss(weights: Path, rows: list[Row]) -> float:
    """Nats a target at the beginning, packed."""
    model = Qwen2VL.from_pretrained(weights, dtype="float32")
    sums = [target_loss(model, batch) for batch in packed(rows, ROW_TOKENS)]
    return sum(float(one.total) for one in sums) / sum(int(one.counts.sum()) for one in sums)


def trainer() -> dict[str, Any]:
    """Each way in turn, twice; the better of each. Ratios to the Trainer's best of the same type, and of all."""
    import transformers

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    transformers.utils.logging.disable_progress_bar()
    rows = examples(EXAMPLES, CONFIG)
    tokens = sum(row.num_tokens for row in rows)
    best: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder)
        Qwen2VL(CONFIG, seed=0).save_pretrained(weights, "float32")
        losses = our_mean_loss(weights, rows), trainer_peer.mean_loss(weights, rows)
        if abs(losses[0] - losses[1]) > 1e-4 * losses[1]:
            raise SystemExit(f"the two do not train on the same: losses {losses}")
        for _ in range(2):
            times = {f"ours, {name}": ours(weights, rows, dtype) for name, dtype in DTYPES.items()}
            times |= {f"Trainer, {one}": trainer_peer.seconds(weights, rows, one) for one in SETTINGS}
            best = {name: min(took, best.get(name, took)) for name, took in times.items()}
    told: dict[str, Any] = {"load": os.getloadavg()[0], "tokens": tokens, "packed_rows": len(packed(rows, ROW_TOKENS))}
    told["tokens_per_cpu_s"] = {name: round(tokens / took) for name, took in best.items()}
    for name in DTYPES:
        theirs = min(took for key, took in best.items() if key.startswith(f"Trainer, {name}"))
        told[f"ratio_{name}"] = round(theirs / best[f"ours, {name}"], 2)
    fastest = min(took for key, took in best.items() if key.startswith("Trainer"))
    return told | {"ratio_bf16_to_any": round(fastest / best["ours, bf16"], 2)}


def stage_times(results: str, replicas: Replicas | None) -> None:
    """Processor seconds of both processes, for rows of their own lengths and for padded ones."""
    torch.set_num_threads(1)
    assert replicas is not None
    grid, config = make_grid(Layout(pp=2)), network(64, 6)
    step = ParallelStep(
        apply_parallel(Qwen2VL(config), grid, TrainConfig(steps=1, dtype="float32")), grid, ["made-up"], "float32"
    )
    rows = sorted(examples(400, config, longest=320), key=lambda row: -row.num_tokens)[::25]
    own = [pack([row]) for row in rows]
    longest = max(batch.num_tokens for batch in own)
    even = [padded(batch, longest) for batch in own]
    spent = {"own": 0.0, "padded": 0.0}
    for number in range(3):
        for name, batches in (("own", own), ("padded", even)):
            began = time.process_time()
            step.gradients(batches if grid.reads else None)
            step.apply(None, 1.0)
            step.stage.zero_grad()
            spent[name] += (time.process_time() - began) * (number > 0)
    both = replicas.add(*spent.values())
    if replicas.rank == 0:
        lengths = [batch.num_tokens for batch in own]
        told = {
            "dynamic_s": both[0] / 2,
            "padded_s": both[1] / 2,
            "ratio": both[0] / both[1],
            "fill": np.mean(lengths) / longest,
        }
        Path(results).write_text(json.dumps({name: float(value) for name, value in told.items()}))


def pipeline() -> dict[str, float]:
    """A step's processor seconds of both processes together."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.json"
        run_replicas(2, stage_times, str(results))
        return dict(json.loads(results.read_text()))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("what", choices=("trainer", "pipeline"))
    print(json.dumps({"trainer": trainer, "pipeline": pipeline}[flags.parse_args().what](), indent=1))
