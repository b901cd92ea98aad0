"""Descriptions of robots' data sets whose actions have no names that can be read."""

import json

import pytest

from qwen2vl_agent.data import lerobot
from qwen2vl_agent.schema.errors import RecordError


@pytest.mark.parametrize("action", [{"names": -1e308}, {"names": 7}, " ", [1]])
def test_names_that_are_no_list_are_a_record_error(tmp_path, action):
    meta = tmp_path / "meta"
    meta.mkdir()
    info = {
        "codebase_version": "v2.1", "fps": 10, "chunks_size": 1000, "data_path": "data/{episode_index:06d}.parquet",
        "features": {"action": action},
    }  # fmt: skip
    (meta / "info.json").write_text(json.dumps(info))
    (meta / "episodes.jsonl").write_text(json.dumps({"episode_index": 0, "tasks": ["push"], "length": 2}) + "\n")
    with pytest.raises(RecordError, match="names of its actions"):
        list(lerobot.episodes(tmp_path, 0, 1))
