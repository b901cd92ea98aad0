"""`quantize`: a smaller checkpoint that is used like any other."""

import json

import pytest

from qwen2vl_agent.agent.jobs import Job
from qwen2vl_agent.agent.rollouts import collect_episodes
from qwen2vl_agent.cli import main
from qwen2vl_agent.commands.models import EMBEDDED
from qwen2vl_agent.dialogue.processor import Processor
from qwen2vl_agent.model.quantized import QuantizedLinear
from qwen2vl_agent.model.qwen2vl import Qwen2VL


@pytest.mark.parametrize("calibrated", [False, True])
def test_a_smaller_checkpoint_is_written_and_loads(calibrated, tmp_path, capsys):
    words = ["quantize", str(EMBEDDED), "--to", "int4", "--out", str(tmp_path / "small"), "--json"]
    if calibrated:
        collect_episodes([Job(task="launcher.open_app", seed=1, env_kwargs={"size": [270, 600]})], tmp_path / "eps", 1)
        words += ["--calibrate", str(tmp_path / "eps")]
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["bytes"] < 0.7 * (EMBEDDED / "model.safetensors").stat().st_size
    model = Qwen2VL.from_pretrained(tmp_path / "small", "bfloat16")
    assert any(isinstance(module, QuantizedLinear) for module in model.modules())
    assert Processor.from_pretrained(tmp_path / "small").agent_settings["detail"] == "bare"


def test_a_folder_that_holds_something_is_left_alone(tmp_path, capsys):
    (tmp_path / "mine").write_text("mine")
    assert main(["quantize", str(EMBEDDED), "--to", "int8", "--out", str(tmp_path)]) == 2
    assert "not empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
