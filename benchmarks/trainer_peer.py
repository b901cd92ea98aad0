"""A pass of transformers' Trainer over rows of ours, in a setting of its own: what `train.py trainer` compares with."""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from qwen2vl_agent.data.packing import Row

FILL = {"input_ids": 155, "labels": -100, "attention_mask": 0, "mm_token_type_ids": 0}
"""What a short row of a batch is filled up with."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """How the Trainer is set. Batches are grouped by length in all of them."""

    batch: int
    """Examples of a step."""
    bf16: bool = True
    """Autocast over float32 weights, as in our trainer; else all in float32."""

    def __str__(self) -> str:
        return f"{'bf16' if self.bf16 else 'float32'}, {self.batch} examples a step"


class Collate:
    """A padded batch as transformers' model wants it."""

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        longest = max(len(row["input_ids"]) for row in rows)
        batch: dict[str, Any] = {
            name: torch.tensor([[*row[name], *[value] * (longest - len(row[name]))] for row in rows])
            for name, value in FILL.items()
        }
        for name in ("pixel_values", "image_grid_thw"):
            if parts := [row[name] for row in rows if row[name] is not None]:
                batch[name] = torch.cat(parts)
        return batch


def published(row: Row) -> dict[str, Any]:
    """One example under the names of transformers."""
    ids = row.inputs.input_ids
    return {
        "input_ids": ids.tolist(),
        "labels": row.labels.tolist(),
        "attention_mask": [1] * row.num_tokens,
        "mm_token_type_ids": (ids == 150).int().tolist(),
        "pixel_values": row.inputs.pixel_values,
        "image_grid_thw": row.inputs.image_grid_thw,
        "length": row.num_tokens,
    }


@torch.no_grad()
def mean_loss(weights: Path, rows: list[Row]) -> float:
    """Nats a target at the beginning, one example at a time: for seeing that both train on the same."""
    import transformers

    model = transformers.Qwen2VLForConditionalGeneration.from_pretrained(weights, dtype=torch.float32).eval()
    total, targets = 0.0, 0
    for row in rows:
        inputs = Collate()([published(row)])
        count = int((row.labels >= 0).sum())
        total += float(model(**inputs).loss) * count
        targets += count
    return total / targets


def seconds(weights: Path, rows: list[Row], setting: Setting) -> float:
    """Processor seconds of the second of two passes."""
    import transformers

    model = transformers.Qwen2VLForConditionalGeneration.from_pretrained(weights, dtype=torch.float32)
    marks: list[float] = []

    class Clock(transformers.TrainerCallback):
        def on_epoch_begin(self, *_: Any, **__: Any) -> None:
            marks.append(time.process_time())

        def on_epoch_end(self, *_: Any, **__: Any) -> None:
            marks.append(time.process_time())

    with tempfile.TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            folder,
            per_device_train_batch_size=setting.batch,
            num_train_epochs=2,
            bf16=setting.bf16,
            use_cpu=True,
            optim="adamw_torch_fused",
            train_sampling_strategy="group_by_length",
            length_column_name="length",
            remove_unused_columns=False,
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            learning_rate=1e-4,
        )
        data = [published(row) for row in rows]
        transformers.Trainer(model, arguments, Collate(), data, callbacks=[Clock()]).train()
    return marks[3] - marks[2]
