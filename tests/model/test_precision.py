"""Which type a device computes in, by what its processor says of itself."""

from pathlib import Path

import pytest
import torch

from qwen2vl_agent.model import precision
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.training.config import TrainConfig

FLAGS = {
    "flags\t\t: fpu sse avx2 fma": (),
    "flags\t\t: fpu avx512f avx512_bf16 amx_bf16": ("AMX", "AVX-512"),
    "Features\t: fp asimd bf16": ("Arm bf16",),
    "": (),
}


@pytest.fixture(params=FLAGS, ids=lambda text: text[-12:] or "empty")
def described(request, monkeypatch, tmp_path):
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{request.param}\n")
    monkeypatch.setattr(precision, "Path", lambda _: Path(tmp_path / "cpuinfo"))
    precision.bf16_instructions.cache_clear()
    yield FLAGS[request.param]
    precision.bf16_instructions.cache_clear()


def test_a_cpu_that_only_emulates_bfloat16_computes_in_float32(described):
    assert precision.bf16_instructions() == described
    expected = torch.bfloat16 if described else torch.float32
    assert precision.fast_dtype("cpu") is expected
    assert precision.fast_dtype("cuda") is torch.bfloat16
    assert f"torch.{TrainConfig(steps=1).dtype}" == str(expected)
    assert TrainConfig(steps=1, dtype="bfloat16").dtype == "bfloat16"
    assert TrainConfig(steps=1, device="cuda").dtype == "bfloat16"


@pytest.mark.parametrize("name", ["cuda", "cuda:1", "tpu", "cpus"])
def test_a_device_that_is_not_here_is_told_before_anything_is_done(name, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    precision.check_device("cpu")
    with pytest.raises(ConfigError, match=name):
        precision.check_device(name)
