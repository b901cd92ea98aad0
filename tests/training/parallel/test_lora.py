"""LoRA in parallel is LoRA on the network itself, and merged it is the same model without the thin matrices."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from parallel_jobs import SOURCES, rows_of_replica, rows_of_step, run_job, small_network
from safetensors.torch import load_file
from test_parity import collected

from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.training.config import TrainConfig
from qwen2vl_agent.training.loss import target_loss
from qwen2vl_agent.training.parallel.adapter import CONFIG as ADAPTER_CONFIG
from qwen2vl_agent.training.parallel.adapter import PREFIX, WEIGHTS, export_adapter
from qwen2vl_agent.training.parallel.apply import apply_parallel
from qwen2vl_agent.training.parallel.export import export
from qwen2vl_agent.training.parallel.grid import Grid
from qwen2vl_agent.training.parallel.layout import Layout
from qwen2vl_agent.training.parallel.lora import add_lora, is_thin
from qwen2vl_agent.training.parallel.step import ParallelStep
from qwen2vl_agent.training.stages import freeze_all_but

pytestmark = pytest.mark.timeout(2400)
CONFIG = TrainConfig(stage="stage3", steps=1, dtype="float32")


def adapted() -> Qwen2VL:
    """With thin matrices that have learnt something already."""
    model = small_network()
    add_lora(model, rank=3, alpha=6.0)
    noise = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("lora_b"):
                parameter.copy_(0.1 * torch.randn(parameter.shape, generator=noise))
    return model


def gradients_and_export(grid: Grid, folder: Path) -> dict[str, Any]:
    part = apply_parallel(adapted(), grid, CONFIG)
    step_of = ParallelStep(part, grid, SOURCES, CONFIG.dtype)
    step_of.gradients(rows_of_replica(grid, 0))
    found = collected(part, {name: p.grad for name, p in part.named_parameters() if p.requires_grad})
    export(part, grid, folder, torch.float32)
    assert export_adapter(part, grid, folder / "adapter", "some/base")
    return found


def test_new_thin_matrices_change_nothing():
    model, plain = small_network(), small_network()
    add_lora(model, rank=2, alpha=4.0)
    inputs = rows_of_step(0)[1].inputs
    assert torch.equal(model(inputs), plain(inputs))
    with pytest.raises(ConfigError, match="lora_rank"):
        add_lora(plain, rank=0, alpha=1.0)


@pytest.mark.multiprocess
@pytest.mark.parametrize("layout", [Layout(tp=2), pytest.param(Layout(pp=2, tp=2), marks=pytest.mark.slow)])
def test_parallel_gradients_are_the_network_s_own_and_the_merged_model_too(layout, tmp_path):
    found = run_job(layout, tmp_path / "job", gradients_and_export, tmp_path / "model")
    model, rows = adapted(), rows_of_step(0)
    thin = [name for name, _ in model.named_parameters() if is_thin(name)]
    assert found.keys() == set(thin)
    assert len(thin) == 4 * 7 * 2
    freeze_all_but(model, thin)
    sum(target_loss(model, row).total for row in rows).div(sum(row.weight for row in rows)).backward()
    scale = max(float(p.grad.norm()) for p in model.parameters() if p.requires_grad)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert float((found[name] - parameter.grad).norm()) <= 3e-6 * max(float(parameter.grad.norm()), scale / 10)
    merged = Qwen2VL.from_pretrained(tmp_path / "model")
    with torch.no_grad():
        torch.testing.assert_close(merged(rows[0].inputs), model(rows[0].inputs), rtol=1e-4, atol=1e-4)
    assert_adapter_holds_the_thin_matrices(tmp_path / "model" / "adapter", model)


def assert_adapter_holds_the_thin_matrices(folder: Path, model: Qwen2VL) -> None:
    """Under peft's names, whatever the layout they come from."""
    told, held = json.loads((folder / ADAPTER_CONFIG).read_text("utf-8")), load_file(folder / WEIGHTS)
    assert (told["r"], told["lora_alpha"], told["base_model_name_or_path"]) == (3, 6.0, "some/base")
    thin = {name: p for name, p in model.named_parameters() if is_thin(name)}
    assert len(held) == len(thin)
    for name, parameter in thin.items():
        peft = name.replace("lora_a", "lora_A.weight").replace("lora_b", "lora_B.weight")
        assert re.fullmatch(told["target_modules"], "model." + name.rpartition(".")[0]), name
        assert torch.equal(held[PREFIX + peft], parameter), name


def export_alone(grid: Grid, folder: Path) -> None:
    part = apply_parallel(adapted(), grid, CONFIG)
    small_network().save_pretrained(folder / "base")
    export(part, grid, folder / "merged", torch.float32)
    export_adapter(part, grid, folder / "adapter")


@pytest.mark.multiprocess
def test_peft_loads_the_adapter_and_says_what_the_merged_model_says(tmp_path):
    peft = pytest.importorskip("peft", reason="needs peft")
    import transformers

    run_job(Layout(), tmp_path / "job", export_alone, tmp_path)
    kind = transformers.Qwen2VLForConditionalGeneration
    base = kind.from_pretrained(tmp_path / "base", dtype=torch.float32)
    with_adapter = peft.PeftModel.from_pretrained(base, tmp_path / "adapter")
    merged = kind.from_pretrained(tmp_path / "merged", dtype=torch.float32)
    ids = torch.arange(4, 24)[None]
    with torch.no_grad():
        found, wanted = with_adapter(input_ids=ids).logits, merged(input_ids=ids).logits
        plain = kind.from_pretrained(tmp_path / "base", dtype=torch.float32)(input_ids=ids).logits
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(found, plain, atol=1e-2)
