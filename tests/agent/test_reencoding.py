"""Every step that is recorded encodes again to the ids that the model saw and wrote, whatever it operates."""

from pathlib import Path
from typing import Any

import pytest

from qwen2vl_agent.agent.episode import run_episode
from qwen2vl_agent.agent.loading import load
from qwen2vl_agent.agent.model_policy import ModelPolicy, SamplingConfig
from qwen2vl_agent.agent.settings import AgentConfig, EpisodePlan
from qwen2vl_agent.agent.verify import verify_episode
from qwen2vl_agent.commands.models import EMBEDDED
from qwen2vl_agent.data.examples import attempt_parts
from qwen2vl_agent.envs.register import make_env
from qwen2vl_agent.schema.trajectory import Step
from qwen2vl_agent.trajectory.store import read_episode

HERE = [
    pytest.param("virtual-phone", {"size": (270, 600)}, "settings.toggle", id="phone"),
    pytest.param("qwen2vl_agent/EZPoint-v0", {}, "", id="cards"),
    pytest.param("gym", {"env_id": "FrozenLake-v1"}, "", id="game"),
    pytest.param("gym", {"env_id": "MountainCarContinuous-v0"}, "", id="control"),
    pytest.param("qwen2vl_agent/NumberLine-v0", {}, "", id="line", marks=pytest.mark.slow),
    pytest.param("qwen2vl_agent/Blackjack-v0", {}, "", id="blackjack", marks=pytest.mark.slow),
    pytest.param("gym", {"env_id": "CartPole-v1"}, "", id="cart", marks=pytest.mark.slow),
    pytest.param("desktop", {"virtual": True}, "Look around.", id="desktop", marks=pytest.mark.desktop),
    pytest.param("miniwob", {}, "miniwob.click-test", id="browser", marks=pytest.mark.browser),
]


@pytest.fixture(scope="module")
def model() -> tuple[Any, Any]:
    return load(str(EMBEDDED))


def reencoded(env: Any, task: str, form: str, out: Path, model: tuple[Any, Any]) -> int:
    """The steps of an episode of which everything came out as recorded, at run time and for training.

    The model draws hotly: what it says need not be sensible, nor split into tokens as a tokenizer would split it.
    """
    policy = ModelPolicy(*model, SamplingConfig(temperature=2.0, max_new_tokens=48))
    config = AgentConfig(form=form, detail="brief", max_steps=2, mistakes_in_a_row=9)
    try:
        steps = run_episode(env, policy, EpisodePlan(out=out, task=task, seed=5), config).steps
    finally:
        env.close()
    found = verify_episode(out, *model)
    assert found.mismatches == []
    assert found.equal()
    ids = attempt_parts(out, model[1])[0][0].encode(model[1]).inputs.input_ids.tolist()
    for step in read_episode(out).steps:
        assert step.reply.token_ids
        seen = [*step.reply.prompt_ids, *_spliced(step, form, model[1])]
        assert ids[: len(seen)] == seen
    assert found.steps == len(steps)
    return found.steps


def _spliced(step: Step, form: str, processor: Any) -> tuple[int, ...]:
    """What was written; in the one turn of the keyword form an end of turn amid the episode is none, and goes.

    A turn ends in `<|im_end|>`, also where the model wrote the end of all text.
    """
    written, special = step.reply.token_ids, processor.tokenizer.special
    ends = (special.im_end, special.endoftext) if form == "keyword" else (special.endoftext,)
    return written[:-1] if written[-1] in ends else written


@pytest.mark.parametrize("form", ["keyword", "tool_call"])
@pytest.mark.parametrize(("name", "options", "task"), HERE)
def test_every_step_encodes_as_it_was_recorded(name, options, task, form, tmp_path, model):
    if name == "gym":
        pytest.importorskip("pygame")  # draws these games
    assert reencoded(make_env(name, **options), task, form, tmp_path, model) > 0
