"""A run that is killed in the middle goes on from its last checkpoint and ends where it would have ended."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch
from training_doubles import small_model, train_small

from qwen2vl_agent.training.checkpoint import Checkpoints
from qwen2vl_agent.training.metrics import METRICS_FILE, read_metrics

TESTS = Path(__file__).parents[1]


def test_killing_loses_at_most_the_steps_since_the_last_checkpoint(tmp_path):
    out = tmp_path / "killed"
    script = f"from training_doubles import train_small; train_small({str(out)!r}, steps=100_000)"
    process = subprocess.Popen(
        [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": str(TESTS)}, stderr=subprocess.DEVNULL
    )
    checkpoints = Checkpoints(out / "checkpoints", 2)
    try:
        deadline = time.monotonic() + 60
        while len(checkpoints.all()) < 2 and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.01)
        assert process.poll() is None
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    latest = checkpoints.latest()
    assert latest is not None
    reached = int(latest.name.removeprefix("step-"))
    assert len(read_metrics(out / METRICS_FILE)) - reached <= 2 + 1  # a line a step, a checkpoint every two
    resumed = train_small(out, reached + 6, resume=True, model=small_model(seed=5))
    whole = train_small(tmp_path / "whole", reached + 6)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))
    assert [line["step"] for line in read_metrics(out / METRICS_FILE)] == list(range(1, reached + 7))
