"""Loads exports with their targets' own readers: `python benchmarks/exports.py READER FOLDER`.

Each reader runs in an environment of its own, where qwen2vl-agent is not installed; `docs/exports.md` says how to make
them. It prints what was loaded, and fails where anything cannot be.
"""

import argparse
import itertools
import json
import tempfile
from pathlib import Path

ROWS = "data.jsonl"


def read_datasets(folder: Path) -> str:
    """Hugging Face datasets: the rows, every picture decoded."""
    rows = _dataset(folder)
    pictures = sum(len(row["images"]) for row in rows)
    assert all(picture.size[0] > 1 for row in rows for picture in row["images"])
    return f"{len(rows)} rows, {pictures} pictures, columns {rows.column_names}"


def read_trl(folder: Path, model: str) -> str:
    """TRL: one step of its trainer on the rows, by a model that transformers can load."""
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor
    from trl import SFTConfig, SFTTrainer

    torch.set_num_threads(1)
    processor = AutoProcessor.from_pretrained(model)
    config = SFTConfig(
        output_dir=tempfile.mkdtemp(),
        max_steps=1,
        per_device_train_batch_size=1,
        max_length=None,
        report_to=[],
        use_cpu=True,
        save_strategy="no",
        bf16=False,
        gradient_checkpointing=False,
    )
    network = AutoModelForImageTextToText.from_pretrained(model, dtype=torch.float32)
    trainer = SFTTrainer(network, config, train_dataset=_dataset(folder), processing_class=processor)
    batch = trainer.data_collator([trainer.train_dataset[0]])
    learned = int((batch["labels"] != -100).sum())
    loss = trainer.train().training_loss
    return f"one step, loss {loss:.3f}; the first row has {batch['input_ids'].numel()} tokens, {learned} are learned"


def read_llamafactory(folder: Path, model: str) -> str:
    """LLaMA-Factory: its loader and template."""
    from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
    from llamafactory.hparams import get_train_args
    from llamafactory.model import load_tokenizer

    described = json.loads((folder / "dataset_info.json").read_text("utf-8"))
    arguments = get_train_args(
        {
            "stage": "sft",
            "do_train": True,
            "model_name_or_path": model,
            "dataset": next(iter(described)),
            "dataset_dir": str(folder),
            "media_dir": str(folder),
            "template": "qwen2_vl",
            "finetuning_type": "full",
            "output_dir": tempfile.mkdtemp(),
            "cutoff_len": 100_000,
            "preprocessing_num_workers": 1,
            "use_cpu": True,
        }
    )
    model_args, data_args, training_args, _, _ = arguments
    parts = load_tokenizer(model_args)
    template = get_template_and_fix_tokenizer(parts["tokenizer"], data_args)
    rows = get_dataset(template, model_args, data_args, training_args, stage="sft", **parts)["train_dataset"]
    first = rows[0]
    learned = sum(label != -100 for label in first["labels"])
    return f"{len(rows)} rows; the first has {len(first['input_ids'])} tokens, {learned} are learned"


def read_swift(folder: Path) -> str:
    """ms-swift: its loader, which brings rows to its own form."""
    try:
        from swift.dataset import load_dataset
    except ImportError:
        from swift.llm import load_dataset

    rows, _ = load_dataset([str(folder / ROWS)], num_proc=1)
    first = rows[0]
    losses = [turn.get("loss") for turn in first["messages"] if turn["role"] == "assistant"]
    return f"{len(rows)} rows; the first has {len(first['images'])} pictures, loss of its replies {losses}"


def read_lerobot(folder: Path) -> str:
    """LeRobot: the data set, every frame decoded."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    rows = LeRobotDataset("local/screens", root=folder)
    frames = [rows[number] for number in range(len(rows))]
    shapes = {tuple(frame["observation.images.screen"].shape) for frame in frames}
    features = rows.meta.features
    told = [f"{name}: {len(features[name]['names'])}" for name in ("action", "observation.state") if name in features]
    gaps = {round(float(b["timestamp"] - a["timestamp"]), 4) for a, b in itertools.pairwise(frames)}
    assert {gap for gap in gaps if gap > 0} == {round(1 / rows.fps, 4)}
    assert sum(bool(frame["next.done"]) for frame in frames) == rows.num_episodes
    return (
        f"{rows.num_episodes} episodes, {len(rows)} frames of {shapes}, {rows.fps} Hz, {', '.join(told)} numbers, "
        f"task {rows[0]['task']!r}"
    )


def read_atif(folder: Path) -> str:
    """Harbor: every document against its schema."""
    from harbor.models.trajectories.trajectory import Trajectory

    documents = [Trajectory.model_validate_json(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))]
    steps = [step for document in documents for step in document.steps]
    with_ids = [step for step in steps if step.metrics and step.metrics.completion_token_ids and step.metrics.logprobs]
    return f"{len(documents)} documents, {len(steps)} steps, {len(with_ids)} with token ids and logprobs"


def _dataset(folder: Path):
    """The rows with their pictures, by Hugging Face datasets."""
    from datasets import Image, List, load_dataset

    rows = load_dataset("json", data_files=str(folder / ROWS), split="train")
    rows = rows.map(lambda row: {"images": [str(folder / name) for name in row["images"]]})
    return rows.cast_column("images", List(Image()))


READERS = {
    "datasets": read_datasets,
    "trl": read_trl,
    "llamafactory": read_llamafactory,
    "swift": read_swift,
    "lerobot": read_lerobot,
    "atif": read_atif,
}
NEED_MODEL = ("trl", "llamafactory")


def main() -> None:
    """Runs one reader."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reader", choices=READERS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="qwen2vl_agent/checkpoints/tiny", help="for trl and llamafactory")
    given = parser.parse_args()
    more = {"model": given.model} if given.reader in NEED_MODEL else {}
    print(f"{given.reader}: {READERS[given.reader](given.folder.resolve(), **more)}")


if __name__ == "__main__":
    main()
