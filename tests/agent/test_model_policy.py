"""The policy that is a model: its calls are valid, and what it would have written anyway stays as it was."""

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import pytest
from corridor import Corridor

from qwen2vl_agent.agent.episode import run_episode
from qwen2vl_agent.agent.loading import load
from qwen2vl_agent.agent.model_policy import ModelPolicy, SamplingConfig
from qwen2vl_agent.agent.settings import AgentConfig, EpisodePlan, taught_settings
from qwen2vl_agent.agent.verify import verify_episode
from qwen2vl_agent.commands.models import EMBEDDED
from qwen2vl_agent.dialogue.tool_call import parse_call
from qwen2vl_agent.envs.register import make_env
from qwen2vl_agent.schema.actions import Done, PressKey
from qwen2vl_agent.schema.tools import narrowed, tool_spec
from qwen2vl_agent.trajectory.store import read_episode


@pytest.fixture(scope="module")
def embedded() -> tuple[Any, Any]:
    return load(str(EMBEDDED))


def test_the_embedded_models_replies_are_the_same_with_constraint_and_guesses(
    tmp_path: Path, embedded: tuple[Any, Any]
) -> None:
    """It writes valid calls by itself: neither switch may change what it does, only how often it must read."""
    env = make_env("virtual-phone", size=(540, 1200))
    config = AgentConfig.from_json({**taught_settings(str(EMBEDDED)).to_json(), "max_steps": 3})
    written: dict[tuple[bool, int], Any] = {}
    for constrained, draft_tokens in itertools.product((False, True), (0, 4)):
        sampling = SamplingConfig(constrained=constrained, draft_tokens=draft_tokens)
        plan = EpisodePlan(out=tmp_path / f"{constrained}-{draft_tokens}", task="settings.toggle", seed=3)
        trajectory = run_episode(env, ModelPolicy(*embedded, sampling), plan, config)
        assert read_episode(plan.out) == trajectory
        assert len(trajectory.steps) > 1
        assert not any(step.error for step in trajectory.steps)
        written[constrained, draft_tokens] = [step.reply for step in trajectory.steps]
    plain = written[False, 0]
    for (constrained, draft_tokens), replies in written.items():
        for reply, usual in zip(replies, plain, strict=True):
            assert reply.token_ids == usual.token_ids
            assert reply.logprobs == pytest.approx(usual.logprobs, abs=1e-4)
            assert len(reply.forced) == len(reply.sampling_logprobs) == len(reply.token_ids)
            assert any(reply.forced) == constrained
            assert (reply.confidence is None) != constrained
        passes, usually = (sum(reply.passes for reply in group) for group in (replies, plain))
        assert passes == usually if (constrained, draft_tokens) == (False, 0) else passes < usually
        assert (sum(reply.guessed_right for reply in replies) > 0) == (draft_tokens > 0)


def test_the_confidence_of_a_call_is_the_probability_of_its_free_tokens(
    tmp_path: Path, embedded: tuple[Any, Any]
) -> None:
    env = make_env("virtual-phone", size=(540, 1200))
    plan = EpisodePlan(out=tmp_path, task="settings.toggle", seed=3)
    config = AgentConfig.from_json({**taught_settings(str(EMBEDDED)).to_json(), "max_steps": 1})
    reply = run_episode(env, ModelPolicy(*embedded), plan, config).steps[0].reply
    assert reply.confidence is not None
    assert 0.01 < reply.confidence <= 1
    assert all(p == 0 for p, forced in zip(reply.sampling_logprobs, reply.forced, strict=True) if forced)
    free = [p for p, forced in zip(reply.logprobs, reply.forced, strict=True) if not forced]
    assert sum(free) <= sum(reply.sampling_logprobs) + 1e-4  # among fewer tokens each is likelier


class Hall(Corridor):
    """A corridor in which only one key can be pressed, or the task ended."""

    legal_tools = (narrowed(tool_spec(PressKey), "name", ("enter",)), tool_spec(Done))


def test_only_what_the_environment_allows_now_is_called(tmp_path: Path, embedded: tuple[Any, Any]) -> None:
    """The embedded model would tap: its thoughts stay its own, but the call is one of the two."""
    sampling = SamplingConfig(temperature=4.0, max_new_tokens=60)
    config = AgentConfig(detail="bare", max_steps=6, mistakes_in_a_row=9)
    trajectory = run_episode(Hall(), ModelPolicy(*embedded, sampling), EpisodePlan(out=tmp_path, seed=2), config)
    calls = [step.call for step in trajectory.steps if step.call is not None]
    assert calls
    assert all(call.name == "done" or call.arguments == {"name": "enter"} for call in calls)


def test_a_negative_number_of_guesses_is_refused() -> None:
    with pytest.raises(ValueError, match="draft_tokens is -1"):
        SamplingConfig(draft_tokens=-1)


def test_the_best_of_several_draws_is_the_one_that_the_model_finds_likeliest(
    tmp_path: Path, embedded: tuple[Any, Any]
) -> None:
    """The first draw is the greedy one, so the best is at least as likely; and the record is as exact as any."""
    env = make_env("virtual-phone", size=(540, 1200))
    config = AgentConfig.from_json({**taught_settings(str(EMBEDDED)).to_json(), "max_steps": 2})
    replies = {}
    for samples in (1, 3):
        policy = ModelPolicy(*embedded, SamplingConfig(samples=samples))
        plan = EpisodePlan(out=tmp_path / str(samples), task="settings.toggle", seed=3, model=str(EMBEDDED))
        replies[samples] = [step.reply for step in run_episode(env, policy, plan, config).steps]
    first, best = replies[1][0], replies[3][0]
    assert best.confidence is not None
    assert first.confidence is not None
    assert best.confidence >= 0.9 * first.confidence
    assert best.tokens["written"] > first.tokens["written"]
    assert verify_episode(tmp_path / "3", *embedded).equal()


def test_a_worn_out_call_gives_way_to_another(embedded: tuple[Any, Any], tmp_path: Path) -> None:
    """Told that its own first call is to be avoided, it draws until another comes, the same for the same seed."""
    env = make_env("virtual-phone", size=(540, 1200))
    policy, contexts = ModelPolicy(*embedded), []
    say = policy.reply

    def keep(context: Any) -> Any:
        contexts.append(context)
        return say(context)

    policy.reply = keep  # type: ignore[method-assign]
    config = AgentConfig.from_json({**taught_settings(str(EMBEDDED)).to_json(), "max_steps": 1})
    usual = run_episode(env, policy, EpisodePlan(out=tmp_path, task="settings.toggle", seed=3), config).steps[0]
    assert usual.call is not None
    avoiding = dataclasses.replace(contexts[0], avoid=(usual.call,))
    others = [say(avoiding), say(avoiding)]
    assert others[0].token_ids == others[1].token_ids
    assert parse_call(others[0].text, "keyword").call != usual.call
    assert say(contexts[0]).token_ids == usual.reply.token_ids
