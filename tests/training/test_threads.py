"""Idle threads are told to sleep, unless the operator has said something else."""

import os

import pytest

from qwen2vl_agent.training.threads import SPIN, share_cores


@pytest.fixture(autouse=True)
def untouched(monkeypatch):
    """Neither variable set; both as they were afterwards."""
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def test_idle_threads_spin_only_briefly():
    share_cores()
    assert os.environ["GOMP_SPINCOUNT"] == SPIN


def test_what_the_operator_set_stays(monkeypatch):
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    share_cores()
    assert os.environ["GOMP_SPINCOUNT"] == "7"
    monkeypatch.delenv("GOMP_SPINCOUNT")
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    share_cores()
    assert "GOMP_SPINCOUNT" not in os.environ
