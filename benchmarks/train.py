"""Training beside what is usual, on this machine: `python benchmarks/train.py trainer | pipeline`.

`trainer`: a step of packed rows beside transformers' Trainer (needs accelerate) on the same network, weights, examples
and targets, in bfloat16, with one thread; the Trainer has its own best way here, batches grouped by length. Pictures
and texts, most of them short and a few long. `pipeline`: 1F1B over two processes with rows of their own lengths, beside
the same rows padded to the longest. Both are told as ratios of processor time, which other programs change little.
"""

import argparse
import json
import os
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from small_worlds import network, textures

from qwen2vl_agent.data.packing import Batch, Row, pack
from qwen2vl_agent.model.config import Qwen2VLConfig
from qwen2vl_agent.model.inputs import ModelInputs
from qwen2vl_agent.model.mrope import mrope_positions
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.training.config import TrainConfig
from qwen2vl_agent.training.optim import make_optimizer
from qwen2vl_agent.training.parallel.apply import apply_parallel
from qwen2vl_agent.training.parallel.exchange import padded
from qwen2vl_agent.training.parallel.grid import make_grid
from qwen2vl_agent.training.parallel.layout import Layout
from qwen2vl_agent.training.parallel.replicas import Replicas, run_replicas
from qwen2vl_agent.training.parallel.step import ParallelStep
from qwen2vl_agent.training.step import train_step

CONFIG = network(128, 4, head=32)
EXAMPLES, BATCH, ROW_TOKENS = 96, 8, 1024
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


def ours(weights: Path, rows: list[Row]) -> float:
    """Processor seconds of one pass over the examples, after a first one."""
    model = Qwen2VL.from_pretrained(weights, dtype="float32")
    config = TrainConfig(steps=1, dtype="bfloat16", lr=1e-4)
    optimizer, batches = make_optimizer(model, config), packed(rows, ROW_TOKENS)
    train_step(model, optimizer, batches[:1], config)
    began = time.process_time()
    for batch in batches:
        train_step(model, optimizer, [batch], config)
    return time.process_time() - began


class Collate:
    """A padded batch as transformers' model wants it."""

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        longest = max(len(row["input_ids"]) for row in rows)
        fill = {"input_ids": 155, "labels": -100, "attention_mask": 0, "mm_token_type_ids": 0}
        batch: dict[str, Any] = {
            name: torch.tensor([[*row[name], *[value] * (longest - len(row[name]))] for row in rows])
            for name, value in fill.items()
        }
        for name in ("pixel_values", "image_grid_thw"):
            if parts := [row[name] for row in rows if row[name] is not None]:
                batch[name] = torch.cat(parts)
        return batch


def theirs(weights: Path, rows: list[Row]) -> float:
    """The same of transformers' Trainer: the second half of two passes."""
    import transformers

    model = transformers.Qwen2VLForConditionalGeneration.from_pretrained(weights, dtype=torch.float32)
    data = [
        {
            "input_ids": row.inputs.input_ids.tolist(),
            "labels": row.labels.tolist(),
            "attention_mask": [1] * row.num_tokens,
            "mm_token_type_ids": (row.inputs.input_ids == 150).int().tolist(),
            "pixel_values": row.inputs.pixel_values,
            "image_grid_thw": row.inputs.image_grid_thw,
            "length": row.num_tokens,
        }
        for row in rows
    ]
    marks: list[float] = []

    class Clock(transformers.TrainerCallback):
        def on_epoch_begin(self, *_: Any, **__: Any) -> None:
            marks.append(time.process_time())

        def on_epoch_end(self, *_: Any, **__: Any) -> None:
            marks.append(time.process_time())

    with tempfile.TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            folder,
            per_device_train_batch_size=BATCH,
            num_train_epochs=2,
            bf16=True,
            use_cpu=True,
            train_sampling_strategy="group_by_length",
            length_column_name="length",
            remove_unused_columns=False,
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            learning_rate=1e-4,
        )
        transformers.Trainer(model, arguments, Collate(), data, callbacks=[Clock()]).train()
    return marks[3] - marks[2]


def trainer() -> dict[str, float]:
    """Both in turn, twice; the better of each."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    rows = examples(EXAMPLES, CONFIG)
    tokens = sum(row.num_tokens for row in rows)
    with tempfile.TemporaryDirectory() as folder:
        Qwen2VL(CONFIG, seed=0).save_pretrained(folder, "float32")
        times = [(ours(Path(folder), rows), theirs(Path(folder), rows)) for _ in range(2)]
    own, other = (min(column) for column in zip(*times, strict=True))
    return {"tokens_per_s": tokens / own, "trainer_tokens_per_s": tokens / other, "ratio": other / own}


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
