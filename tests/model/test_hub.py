"""Names of checkpoints: folders, hub ids, and words about what is neither."""

from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from qwen2vl_agent.model.hub import checkpoint_folder
from qwen2vl_agent.schema.errors import CheckpointError


def test_a_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    assert checkpoint_folder(tmp_path, ["*.json"]) == tmp_path
    assert checkpoint_folder(str(tmp_path), ["*.json"]) == tmp_path


def test_a_hub_id_is_fetched_with_its_patterns(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = {}

    def fetch(name: str, revision: str | None, allow_patterns: list[str]) -> str:
        asked[name, revision] = allow_patterns
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    assert checkpoint_folder("Qwen/Qwen2-VL-2B-Instruct", ("*.json",)) == tmp_path
    assert checkpoint_folder("Qwen/Qwen2-VL-2B-Instruct@895c3a4", ("*.json",)) == tmp_path
    name = "Qwen/Qwen2-VL-2B-Instruct"
    assert asked == {(name, None): ["*.json"], (name, "895c3a4"): ["*.json"]}


def test_without_a_network_the_operator_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> str:
        raise huggingface_hub.errors.LocalEntryNotFoundError("no connection\nand much more")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(CheckpointError, match="check the name and the network") as caught:
        checkpoint_folder("some/model", ["*.json"])
    assert "no connection" in str(caught.value)
    assert "much more" not in str(caught.value)


@pytest.mark.parametrize("name", ["missing", "/no/such/folder", "./a", "a/b/c"])
def test_what_is_neither_folder_nor_id_is_refused_without_asking_the_hub(name: str) -> None:
    with pytest.raises(CheckpointError, match="expected a checkpoint folder"):
        checkpoint_folder(name, ["*.json"])


def test_a_file_is_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "model.bin").touch()
    with pytest.raises(CheckpointError, match="expected a checkpoint folder"):
        checkpoint_folder(tmp_path / "model.bin", ["*.json"])
