"""A running job says which of its processes is slow, and which examples made a step go wrong."""

import json
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from parallel_jobs import SOURCES, row, run_job, small_network
from test_job import CONFIG

from qwen2vl_agent.data.packing import Batch, pack
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.training.metrics import read_metrics
from qwen2vl_agent.training.parallel.grid import Grid
from qwen2vl_agent.training.parallel.layout import Layout
from qwen2vl_agent.training.parallel.monitor import INCIDENTS_FILE, STRAGGLERS_FILE
from qwen2vl_agent.training.parallel.trainer import JobTrainer
from qwen2vl_agent.training.spikes import LEAST, SpikeWatch

pytestmark = pytest.mark.timeout(2400)
STEPS, WRONG = LEAST + 6, LEAST + 2


class SomeRows:
    """Four rows a step; in step `WRONG` one example's pixels, or words, are not what the network has seen."""

    sources, waited_s = list(SOURCES), 0.0

    def __init__(self, grid: Grid, wrong: float) -> None:
        self._grid, self._wrong, self._step = grid, wrong, 0

    def next_rows(self) -> list[Batch] | None:
        self._step += 1
        seeds = [10 * number for number in range(4)]
        rows = [[self._row(seed, (4, 4)), self._row(seed + 1)] for seed in seeds]
        return [pack(both) for both in rows[self._grid.replica :: self._grid.layout.dp]] if self._grid.reads else None

    def _row(self, seed: int, image: Any = None) -> Any:
        made = replace(row(seed, 9, image), index=seed)
        if self._step == WRONG and seed == 20:
            made.inputs.pixel_values *= self._wrong
        return made

    def positions(self) -> list[int]:
        return [self._step]

    def describe(self) -> dict[str, Any]:
        return {}

    def close(self) -> None:
        pass


def watched(grid: Grid, out: Path, wrong: float, policy: str, delay_s: float) -> tuple[int, str]:
    config = replace(CONFIG, steps=STEPS, checkpoint_every_steps=None, lr=1e-9)
    watch = SpikeWatch(factor=1.0001, on_spike=policy)
    job = JobTrainer(config, small_network(), SomeRows(grid, wrong), grid, out, watch=watch)
    if grid.replica == 1:
        forward = job.stage.forward
        job.stage.forward = lambda *args, **kwargs: (time.sleep(delay_s), forward(*args, **kwargs))[1]
    try:
        job.fit()
    except ConfigError as error:
        return job.updates, str(error)
    return job.updates, ""


def incidents(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / INCIDENTS_FILE).read_text("utf-8").splitlines()]


@pytest.mark.multiprocess
def test_a_slow_replica_is_named_and_what_is_not_finite_is_skipped(tmp_path):
    out = tmp_path / "run"
    updates, _ = run_job(Layout(dp=2), tmp_path / "job", watched, out, math.nan, "tell", 0.5)
    assert updates == STEPS - 1
    found = {finding["rank"]: finding for finding in json.loads((out / STRAGGLERS_FILE).read_text("utf-8"))}
    assert found[1]["verdict"] == "slow device"
    assert found[1]["slowness"] > 1.25 > found[0]["slowness"]
    (incident,) = incidents(out)
    assert (incident["step"], incident["trouble"], incident["applied"]) == (WRONG, "loss not finite", False)
    assert (incident["examples"][0]["source"], incident["examples"][0]["index"]) == ("a", 20)
    lines = read_metrics(out / "metrics.jsonl")
    assert all(line["mfu"] > 0 and line["memory_gib"] > 0 and line["balance"] >= 1 for line in lines)


@pytest.mark.multiprocess
@pytest.mark.parametrize("policy", ["skip", "stop"])
def test_a_spike_is_named_and_skipped_or_ends_the_run(policy, tmp_path):
    out = tmp_path / "run"
    updates, said = run_job(Layout(pp=2), tmp_path / "job", watched, out, 0.0, policy, 0.0)
    (incident,) = incidents(out)
    assert (incident["step"], incident["trouble"], incident["applied"]) == (WRONG, "loss spike", False)
    assert "a:20" in {f"{one['source']}:{one['index']}" for one in incident["examples"]}
    assert torch.tensor([one["loss"] for one in incident["examples"]]).isfinite().all()
    assert updates == (STEPS - 1 if policy == "skip" else WRONG - 1)
    assert ("the run ends here" in said) is (policy == "stop")
