"""The examination of the machine."""

import json

import pytest

from qwen2vl_agent import cli
from qwen2vl_agent.commands import checkup, models
from qwen2vl_agent.commands.checkup import Finding
from qwen2vl_agent.schema.errors import CheckpointError


@pytest.fixture
def no_adb(monkeypatch):
    """No server is started for a test."""
    monkeypatch.setattr(checkup, "_adb", lambda: iter([Finding("adb", "good", "not asked")]))


def run_doctor(capsys) -> tuple[int, dict]:
    status = cli.main(["doctor", "--json"])
    return status, json.loads(capsys.readouterr().out.splitlines()[-1])


def test_a_healthy_machine_is_called_so(no_adb, tmp_path, monkeypatch, capsys):
    (tmp_path / "model.safetensors").write_bytes(b"12345")
    monkeypatch.setattr(checkup, "EMBEDDED", tmp_path)
    status, answer = run_doctor(capsys)
    assert (status, answer["ok"]) == (0, True)
    assert {"python", "packages", "processor", "disk"} <= {check["name"] for check in answer["checks"]}


def test_a_missing_model_is_told_with_what_to_do(no_adb, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(checkup, "EMBEDDED", tmp_path)
    status, answer = run_doctor(capsys)
    assert (status, answer["ok"]) == (2, False)
    (missing,) = [check for check in answer["checks"] if check["state"] == "missing"]
    assert missing["name"] == "embedded model"
    assert "--model FOLDER" in missing["mend"]


def test_a_package_that_is_not_there_is_named(monkeypatch):
    version = checkup._version
    monkeypatch.setattr(checkup, "_version", lambda name: None if name == "gymnasium" else version(name))
    missing, present = checkup._packages()
    assert (missing.name, missing.state) == ("gymnasium", "missing")
    assert "gymnasium" not in present.found


def test_an_incomplete_extra_says_how_to_complete_it(monkeypatch):
    version = checkup._version
    monkeypatch.setattr(checkup, "_version", lambda name: None if name == "hypothesis" else version(name))
    (dev,) = [finding for finding in checkup._extras() if "dev" in finding.name]
    assert (dev.state, dev.found, dev.mend) == ("note", "without hypothesis", "pip install 'qwen2vl-agent[dev]'")


def test_a_phone_that_awaits_permission_says_where_to_give_it():
    finding = checkup._device("abc", "unauthorized")
    assert finding.state == "note"
    assert "on its screen" in finding.mend


def test_the_disk_is_told_to_be_small_when_it_is(monkeypatch):
    monkeypatch.setattr(checkup, "SPACE_WANTED_GB", 1e9)
    assert checkup._disk().state == "note"


def test_a_package_without_its_model_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(models, "EMBEDDED", tmp_path / "none")
    with pytest.raises(CheckpointError, match="no embedded model"):
        models.resolve("")


def test_a_folder_or_hub_id_is_passed_on(tmp_path):
    assert models.resolve("Qwen/Qwen2-VL-2B-Instruct") == "Qwen/Qwen2-VL-2B-Instruct"
    assert models.is_embedded(str(models.EMBEDDED))
    assert not models.is_embedded(str(tmp_path))
