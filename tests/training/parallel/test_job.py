"""Whole runs: resumed bit for bit or in another layout, exported from any, and ended by the death of a process."""

import json
import os
import random
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from parallel_jobs import PATIENCE_S, run_job, small_network
from test_parity import collected
from training_doubles import LetterProcessor, mixture

from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.training.config import TrainConfig
from qwen2vl_agent.training.metrics import read_metrics
from qwen2vl_agent.training.parallel.data_order import RowStreams
from qwen2vl_agent.training.parallel.grid import Grid
from qwen2vl_agent.training.parallel.layout import Layout
from qwen2vl_agent.training.parallel.trainer import JobTrainer

pytestmark = pytest.mark.timeout(2400)  # on a machine that others use too, a job takes minutes to begin
CONFIG = TrainConfig(
    steps=4,
    dtype="float32",
    lr=1e-3,
    min_lr_ratio=1.0,  # so that a run's course does not depend on its length
    warmup_steps=1,
    log_every=1,
    checkpoint_every_steps=1,
    keep_checkpoints=2,
)
ROWS, BUDGET = 4, 40


def trainer(grid: Grid, out: Path, config: TrainConfig, resume: bool = False) -> JobTrainer:
    data = RowStreams(mixture(), LetterProcessor(), grid, rows=ROWS, batch_tokens=BUDGET)
    return JobTrainer(config, small_network(seed=9 if resume else 0), data, grid, out, resume=resume)


def finish(grid: Grid, out: Path, resume: bool = False, steps: int = 4) -> dict[str, torch.Tensor]:
    """Weights and optimizer state after `steps` steps."""
    job = trainer(grid, out, replace(CONFIG, steps=steps), resume)
    job.fit()
    named = dict(job.stage.named_parameters())
    state = {
        f"{name}.{kind}": value
        for name, parameter in named.items()
        for kind, value in job.optimizer.state[parameter].items()
        if value.dim()
    }
    return collected(job.stage, named | state)


def straight_and_in_two_parts(grid: Grid, folder: Path) -> tuple[Any, Any]:
    straight = finish(grid, folder / "straight")
    finish(grid, folder / "parts", steps=2)
    if grid.rank == 0:
        shutil.copytree(folder / "parts", folder / "half")
    grid.wait()
    return straight, finish(grid, folder / "parts", resume=True)


@pytest.fixture(scope="module")
def half_done(tmp_path_factory):
    """A run of dp 2 x pp 2, its end, and a copy of it after two of four steps."""
    folder = tmp_path_factory.mktemp("half-done")
    straight, parts = run_job(Layout(dp=2, pp=2), folder / "job", straight_and_in_two_parts, folder)
    return folder, straight, parts


@pytest.mark.multiprocess
def test_a_resumed_job_is_the_uninterrupted_one_bit_for_bit(half_done):
    folder, straight, parts = half_done
    assert straight.keys() == parts.keys()
    for name, tensor in straight.items():
        assert torch.equal(tensor, parts[name]), name
    lines = [read_metrics(folder / name / "metrics.jsonl") for name in ("straight", "parts")]
    assert [line["loss"] for line in lines[0]] == [line["loss"] for line in lines[1]]
    assert [line["step"] for line in lines[1]] == [1, 2, 3, 4]
    kept = sorted(path.name for path in (folder / "straight" / "checkpoints").iterdir())
    assert kept == ["step-00000003", "step-00000004"]


@pytest.mark.multiprocess
def test_any_layout_exports_a_model_that_loads_in_the_published_names(half_done):
    folder, straight, _ = half_done
    model = Qwen2VL.from_pretrained(folder / "straight" / "model", dtype=None)
    for name, weight in model.named_parameters():
        assert torch.equal(weight, straight[name].to(torch.bfloat16)), name


@pytest.mark.multiprocess
@pytest.mark.parametrize(
    "layout",
    [
        Layout(),
        Layout(tp=2),
        pytest.param(Layout(pp=2), marks=pytest.mark.slow),
        pytest.param(Layout(dp=2), marks=pytest.mark.slow),
        pytest.param(Layout(pp=2, tp=2), marks=pytest.mark.slow),
        pytest.param(Layout(dp=2, tp=2), marks=pytest.mark.slow),
    ],
    ids=lambda layout: f"dp{layout.dp}-pp{layout.pp}-tp{layout.tp}",
)
def test_a_job_goes_on_in_another_layout(half_done, layout, tmp_path):
    folder, straight, _ = half_done
    shutil.copytree(folder / "half", tmp_path / "run")
    found = run_job(layout, tmp_path / "job", finish, tmp_path / "run", True)
    losses = [
        [line["loss"] for line in read_metrics(path / "metrics.jsonl")]
        for path in (tmp_path / "run", folder / "straight")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for name, tensor in straight.items():
        if not name.endswith(("exp_avg", "exp_avg_sq")):
            assert float((found[name] - tensor).norm()) <= 1e-4 * float(tensor.norm()), name


def wrong_layout(grid: Grid, out: Path) -> str:
    try:
        RowStreams(mixture(), LetterProcessor(), grid, rows=3, batch_tokens=BUDGET)
    except ConfigError as error:
        return str(error)
    return ""


@pytest.mark.multiprocess
def test_rows_that_do_not_divide_are_refused(tmp_path):
    assert "--dp 2 must divide" in run_job(Layout(dp=2), tmp_path, wrong_layout, tmp_path)


SCRIPT = """
import os, signal, sys
from dataclasses import replace
from pathlib import Path
sys.path[:0] = {path!r}
import torch
torch.set_num_threads(1)
from test_job import CONFIG, trainer
from qwen2vl_agent.schema.errors import OperatorError
from qwen2vl_agent.training.parallel.grid import joined
from qwen2vl_agent.training.parallel.layout import Layout
with joined(Layout(pp=2)) as grid:
    job = trainer(grid, Path({out!r}), replace(CONFIG, steps={steps}), resume={resume})
    one_step = job._one_step
    def step(*given):
        if job.progress.step == {kill_at} and grid.rank == {victim}:
            os.kill(os.getpid(), signal.SIGKILL)
        one_step(*given)
    job._one_step = step
    try:
        job.fit()
    except OperatorError as error:
        print("error:", error, file=sys.stderr, flush=True)
        os._exit(2)
    grid.wait()
    sys.stdout.flush()
    os._exit(0)
"""


def torchrun(folder: Path, **values: Any) -> subprocess.CompletedProcess[str]:
    here = Path(__file__).parent
    script = folder / "job.py"
    script.write_text(SCRIPT.format(path=[str(here), str(here.parents[1])], out=str(folder / "run"), **values))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    return subprocess.run(command, capture_output=True, text=True, timeout=2 * PATIENCE_S, check=False)


@pytest.mark.multiprocess
def test_a_killed_process_ends_the_job_and_it_goes_on_from_its_checkpoint(tmp_path):
    victim, kill_at = random.randrange(2), random.randrange(2, 6)
    killed = torchrun(tmp_path, steps=6, resume=False, kill_at=kill_at, victim=victim)
    told = f"process {victim} killed at step {kill_at}: {killed.stderr[-3000:]}"
    assert killed.returncode != 0, told
    assert "SIGKILL" in killed.stderr, told  # torchrun tells which one
    assert killed.stderr.count("error: a process of the job is gone") == (victim != 0), told
    reached = sorted((tmp_path / "run" / "checkpoints").glob("step-*"))[-1]
    assert 1 <= json.loads((reached / "job.json").read_text())["progress"]["step"] <= kill_at, told
    resumed = torchrun(tmp_path, steps=6, resume=True, kill_at=99, victim=victim)
    assert resumed.returncode == 0, resumed.stderr[-3000:]
    lines = read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert [line["loss"] for line in lines] == curve(Layout(pp=2), tmp_path / "uninterrupted", steps=6)
    assert os.path.isfile(tmp_path / "run" / "model" / "config.json")


def curve(layout: Layout, folder: Path, steps: int) -> list[float]:
    """The losses of a run that nothing interrupts."""
    run_job(layout, folder / "job", finish, folder / "run", False, steps)
    return [line["loss"] for line in read_metrics(folder / "run" / "metrics.jsonl")]
