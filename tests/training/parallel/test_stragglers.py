"""A slow device is told from heavy data, among replicas of one stage."""

import numpy as np
import pytest

from qwen2vl_agent.training.parallel.stragglers import Timing, compare

STEPS = 40


def timings(slow: dict[int, float], heavy: dict[int, float], replicas: int = 4, stages: int = 1) -> list[Timing]:
    """Times of a step are 10 ms and 1 ms for each unit of work, with a tenth of noise."""
    rng, made = np.random.default_rng(0), []
    for rank in range(replicas * stages):
        work = heavy.get(rank, 1.0) * rng.uniform(60, 140, STEPS)
        noise = rng.uniform(0.9, 1.1, STEPS)
        stage = rank // replicas
        seconds = slow.get(rank, 1.0) * (0.01 + 0.001 * work) * noise * (1 + 2 * stage)
        made.append(Timing(rank, "host", stage, rank % replicas, 0, tuple(seconds), tuple(work)))
    return made


def verdicts(made: list[Timing]) -> dict[int, str]:
    return {finding.rank: finding.verdict for finding in compare(made) if finding.verdict != "even"}


def test_replicas_that_are_alike_are_even():
    assert verdicts(timings({}, {})) == {}


@pytest.mark.parametrize("replicas", [2, 4, 16])
def test_a_slow_device_is_found_and_measured(replicas):
    made = timings({1: 2.0}, {}, replicas)
    assert verdicts(made) == {1: "slow device"}
    finding = next(finding for finding in compare(made) if finding.rank == 1)
    assert finding.slowness == pytest.approx(2.0, rel=0.15)
    assert finding.work == pytest.approx(1.0, abs=0.15)
    assert "rank 1 on host" in finding.told()


def test_heavy_data_are_not_blamed_on_the_device():
    made = timings({}, {2: 2.0})
    assert verdicts(made) == {2: "heavy data"}
    assert "not slow" in next(finding for finding in compare(made) if finding.rank == 2).told()


def test_a_slow_device_among_heavy_data_is_found():
    assert verdicts(timings({0: 1.8}, {2: 1.8})) == {0: "slow device", 2: "heavy data"}


def test_stages_are_compared_with_themselves_only():
    assert verdicts(timings({5: 1.7}, {}, replicas=4, stages=2)) == {5: "slow device"}


def test_a_replica_alone_has_nothing_beside_it():
    assert verdicts(timings({0: 9.0}, {}, replicas=1)) == {}
