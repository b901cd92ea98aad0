"""The desktop's bundled tasks: the solution solves each of them, waiting solves none."""

import pytest

from qwen2vl_agent.agent.episode import drive_plainly, run_episode
from qwen2vl_agent.agent.policy import scripted_policy
from qwen2vl_agent.agent.settings import AgentConfig, EpisodePlan
from qwen2vl_agent.envs.desktop.catalogue import TEMPLATES
from qwen2vl_agent.envs.desktop.session import stale_xlib
from qwen2vl_agent.envs.desktop.virtual import missing
from qwen2vl_agent.envs.register import make_env

pytest.importorskip("mss", reason="the extra [desktop] is not installed")
pytestmark = [
    pytest.mark.desktop,
    pytest.mark.skipif(bool(stale_xlib()), reason=stale_xlib()),
    pytest.mark.skipif(bool(missing()), reason=f"not installed: apt-get install {' '.join(missing())}"),
]


@pytest.fixture(scope="module")
def env():
    env = make_env("desktop", virtual=True)
    yield env
    env.close()


@pytest.mark.parametrize("task", TEMPLATES)
def test_the_solution_solves_it_and_waiting_does_not(env, task, tmp_path):
    for policy, seed, split, outcome in (
        ("oracle", 71, "test", "success"),
        ("oracle", 72, "train", "success"),
        ("noop", 71, "test", "failure"),
    ):
        plan = EpisodePlan(out=tmp_path / f"{policy}-{seed}", task=task, seed=seed, split=split, sync=False)
        config = AgentConfig(max_steps=2 if policy == "noop" else None)
        header = run_episode(env, scripted_policy(policy), plan, config, drive=drive_plainly).header
        assert header.outcome == outcome, (policy, seed, header.message)
        assert header.config["unseen"] == (split == "test")
