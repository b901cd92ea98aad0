"""Checkpoints and metrics survive whatever ends the program."""

import json

import pytest
import torch

from qwen2vl_agent.training.checkpoint import Checkpoints, load_state
from qwen2vl_agent.training.metrics import MetricsFile, read_metrics


class Part:
    def __init__(self, fails: bool = False) -> None:
        self.fails = fails

    def save_pretrained(self, folder) -> None:
        (folder / "weights").write_text("some")
        if self.fails:
            raise OSError("no space left on device")


def save(checkpoints: Checkpoints, step: int, part: Part | None = None):
    return checkpoints.save(step, {"step": torch.tensor(step)}, {"lr": 1}, part or Part())


def test_a_checkpoint_holds_state_config_and_every_part(tmp_path):
    folder = save(Checkpoints(tmp_path, 2), 12)
    assert folder.name == "step-00000012"
    assert int(load_state(folder)["step"]) == 12
    assert json.loads((folder / "train.json").read_text()) == {"lr": 1}
    assert (folder / "weights").read_text() == "some"


def test_a_failure_in_the_writing_leaves_the_last_one_as_it_was(tmp_path):
    checkpoints = Checkpoints(tmp_path, 2)
    good = save(checkpoints, 1)
    with pytest.raises(OSError, match="no space"):
        save(checkpoints, 2, Part(fails=True))
    assert checkpoints.all() == [good]
    assert checkpoints.latest() == good


def test_left_overs_are_cleared_by_the_next_one(tmp_path):
    checkpoints = Checkpoints(tmp_path, 2)
    with pytest.raises(OSError, match="no space"):
        save(checkpoints, 1, Part(fails=True))
    save(checkpoints, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000002"]


def test_the_newest_are_kept_in_order_of_their_steps(tmp_path):
    checkpoints = Checkpoints(tmp_path, 2)
    for step in (9, 10, 100):
        save(checkpoints, step)
    assert [path.name for path in checkpoints.all()] == ["step-00000010", "step-00000100"]


def test_saving_twice_at_a_step_writes_once(tmp_path):
    checkpoints = Checkpoints(tmp_path, 2)
    first = save(checkpoints, 3)
    assert save(checkpoints, 3, Part(fails=True)) == first


def test_metrics_after_the_resumed_step_and_torn_lines_are_dropped(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}\n{"step": 3}\n{"step": 4, "lo')
    assert [line["step"] for line in read_metrics(path)] == [1, 2, 3]
    metrics = MetricsFile(path, resumed_at=2)
    metrics.write({"step": 3, "loss": 0.5})
    assert read_metrics(path) == [{"step": 1}, {"step": 2}, {"step": 3, "loss": 0.5}]


def test_a_new_run_begins_an_empty_file(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n')
    MetricsFile(path)
    assert read_metrics(path) == []
