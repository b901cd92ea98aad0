"""Baselines do the very episodes that were measured, and stand beside the score."""

import json
from pathlib import Path

import pytest

from qwen2vl_agent import cli
from qwen2vl_agent.agent.jobs import EpisodeResult, Job
from qwen2vl_agent.agent.loading import LoadSettings
from qwen2vl_agent.bench.baselines import baseline_conditions, paired_with
from qwen2vl_agent.bench.result import Conditions
from qwen2vl_agent.bench.run import bench_jobs
from qwen2vl_agent.trajectory.store import episodes


def done(task: str, seed: int, solved: bool) -> EpisodeResult:
    job = Job(task=task, seed=seed, split="test")
    return EpisodeResult(job, Path(job.name), "success" if solved else "failure", 0.0, 1, False)


def test_episodes_are_paired_by_task_and_seed_and_those_of_one_alone_are_left_out():
    baseline = (done("a", 1, True), done("a", 2, False), done("b", 1, True), done("c", 9, True))
    measured = (done("b", 1, False), done("a", 1, True), done("a", 2, True), done("d", 1, True))
    found = paired_with(baseline, measured)
    assert (found.both, found.only_a, found.only_b, found.neither) == (1, 1, 1, 0)


def test_a_baseline_is_given_the_measured_episodes_and_nothing_of_the_model():
    loading = LoadSettings(quantize="int8")
    measured = Conditions(suite="settings", model="", episodes=2, seed=5, blind=True, max_steps=3, loading=loading)
    plain = baseline_conditions(measured, "random")
    assert (plain.policy, plain.blind, plain.loading, plain.max_steps) == ("random", False, LoadSettings(), 3)
    wanted = [(job.task, job.seed, job.split) for job in bench_jobs(measured)]
    assert [(job.task, job.seed, job.split) for job in bench_jobs(plain)] == wanted


@pytest.mark.parametrize("policy", ["oracle", "random"])
def test_the_command_puts_floor_and_ceiling_beside_the_score(policy, tmp_path, capsys):
    flags = ["--policy", policy, "--episodes", "2", "--seed", "3", "--workers", "1", "--max-steps", "12", "--baselines"]
    assert cli.main(["bench", "settings.toggle", *flags, "--json", "--out", str(tmp_path / "out")]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    found = told["baselines"]
    assert set(found) == {"noop", "random", "oracle"} - {policy}
    assert all(baseline["paired_episodes"] == 2 for baseline in found.values())
    assert found["noop"]["success"] == 0
    assert found["noop"]["difference"] == told["success"]
    if policy == "random":
        assert found["oracle"]["success"] == 1
        assert found["oracle"]["difference"] == told["success"] - 1
    assert json.loads((tmp_path / "out" / "results.json").read_text())["baselines"] == found
    assert "| noop | 0.0% |" in (tmp_path / "out" / "results.md").read_text()
    assert len(episodes(tmp_path / "out" / "baselines" / "noop")) == 2
