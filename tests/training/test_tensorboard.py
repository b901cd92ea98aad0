"""Metrics as TensorBoard's scalars."""

import sys

import pytest

from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.training.tensorboard import FOLDER, Board, scalars

LINE = {"step": 3, "loss": 2.5, "losses": {"a": 2.0, "b": 3.0}, "note": "words"}


def test_numbers_inside_others_are_named_by_their_way():
    assert scalars(LINE) == [("loss", 2.5), ("losses/a", 2.0), ("losses/b", 3.0)]


def test_without_tensorboard_the_operator_is_told_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ConfigError, match=r"qwen2vl-agent\[tensorboard\]"):
        Board(tmp_path)


@pytest.mark.filterwarnings("ignore")
def test_a_line_is_read_back(tmp_path):
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", reason="needs tensorboard")
    board = Board(tmp_path)
    board.write(LINE)
    board.close()
    events = reading.EventAccumulator(str(tmp_path / FOLDER))
    events.Reload()
    (event,) = events.Scalars("losses/b")
    assert (event.step, event.value) == (3, 3.0)
