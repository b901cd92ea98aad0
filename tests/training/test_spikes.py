"""A step that goes wrong is told from one that is only a little worse, and thrown away when it must be."""

import math

import pytest

from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.training.spikes import LEAST, REMEMBERED, SpikeWatch


def used_to(loss: float, **options) -> SpikeWatch:
    watch = SpikeWatch(**options)
    for step in range(LEAST):
        assert watch.judge(loss + 0.01 * step) is None
    return watch


def test_a_loss_far_above_the_usual_is_a_spike():
    watch = used_to(2.0)
    assert watch.judge(5.0) is None
    assert watch.judge(6.5) == "loss spike"
    assert watch.judge(2.0) is None


def test_at_first_nothing_is_usual():
    watch = SpikeWatch()
    assert [watch.judge(loss) for loss in (1.0, 50.0)] == [None, None]
    assert watch.usual == math.inf


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_what_is_not_finite_is_never_trained_on_nor_remembered(loss):
    watch = used_to(1.0)
    trouble = watch.judge(loss)
    assert trouble == "loss not finite"
    assert watch.skips(trouble)
    assert all(math.isfinite(kept) for kept in watch.recent)


@pytest.mark.parametrize(("policy", "skips"), [("tell", False), ("skip", True), ("stop", True)])
def test_what_happens_to_a_spike_is_a_policy(policy, skips):
    assert used_to(1.0, on_spike=policy).skips("loss spike") is skips


def test_a_new_level_becomes_usual():
    watch = used_to(1.0)
    judged = [watch.judge(4.0) for _ in range(REMEMBERED)]
    assert judged[0] == "loss spike"
    assert judged[-1] is None


def test_a_policy_that_is_none_is_refused():
    with pytest.raises(ConfigError, match="tell, skip or stop"):
        SpikeWatch(on_spike="ignore")
    with pytest.raises(ConfigError, match="above 1"):
        SpikeWatch(factor=1.0)
