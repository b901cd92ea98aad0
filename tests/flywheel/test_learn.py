"""A round's training on real episodes of the embedded model: rows are exact, and better attempts become likelier."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from qwen2vl_agent.agent.episode import drive_plainly, run_episode
from qwen2vl_agent.agent.loading import load
from qwen2vl_agent.agent.model_policy import ModelPolicy, SamplingConfig
from qwen2vl_agent.agent.policy import OtherChances
from qwen2vl_agent.agent.settings import AgentConfig, EpisodePlan, taught_settings
from qwen2vl_agent.commands.models import EMBEDDED
from qwen2vl_agent.data.image_embeds import ImageEmbeds
from qwen2vl_agent.envs.register import make_env
from qwen2vl_agent.flywheel.frames import embed_frames
from qwen2vl_agent.flywheel.learn import advantages
from qwen2vl_agent.schema.errors import ConfigError, RecordError
from qwen2vl_agent.training.policy_gradient import PolicyConfig, fit_policy, written_logprobs
from qwen2vl_agent.training.policy_rows import policy_rows, rows_of
from qwen2vl_agent.trajectory.store import read_episode


@pytest.fixture(scope="module")
def embedded() -> tuple[Any, Any]:
    return load(str(EMBEDDED))


@pytest.fixture(scope="module")
def attempts(tmp_path_factory: pytest.TempPathFactory, embedded: tuple[Any, Any]) -> list[Path]:
    """Two attempts at one episode, hot enough to differ."""
    root = tmp_path_factory.mktemp("attempts")
    env = make_env("virtual-phone", size=(540, 1200))
    config = AgentConfig.from_json({**taught_settings(str(EMBEDDED)).to_json(), "max_steps": 3})
    policy = ModelPolicy(*embedded, SamplingConfig(temperature=3.0, draft_tokens=0, max_new_tokens=80))
    for draw in range(2):
        plan = EpisodePlan(out=root / str(draw), task="clock.add_alarm", seed=3, sync=False)
        run_episode(env, OtherChances(policy, draw), plan, config, drive=drive_plainly)
    env.close()
    return [root / "0", root / "1"]


def test_other_chances_lead_to_another_attempt(attempts: list[Path]) -> None:
    written = [[step.reply.token_ids for step in read_episode(folder).steps] for folder in attempts]
    assert written[0] != written[1]
    assert read_episode(attempts[0]).steps[0].frame == read_episode(attempts[1]).steps[0].frame


def test_a_rows_probabilities_are_those_that_were_recorded(attempts: list[Path], embedded: tuple[Any, Any]) -> None:
    model, processor = embedded
    rows = [row for folder in attempts for row in policy_rows(folder, processor, 1.0)]
    inputs, where, ids, old, advantage = rows_of(rows)
    with torch.inference_mode():
        found = written_logprobs(model.float(), inputs, where, ids)
    assert float((found - old).abs().max()) < 1e-4
    free = sum(step.reply.forced.count(False) for folder in attempts for step in read_episode(folder).steps)
    closed = sum("no function call" in step.error for folder in attempts for step in read_episode(folder).steps)
    assert free - closed <= len(ids) == len(advantage) <= free, "what is missing closed a conversation that went on"


def test_attempts_are_worth_what_they_did_beside_each_other(tmp_path: Path, attempts: list[Path]) -> None:
    assert set(advantages(attempts).values()) == {0.0}, "both failed: nothing to tell them apart"


def test_the_better_attempt_becomes_likelier_and_the_divergence_ends_the_round(
    attempts: list[Path], embedded: tuple[Any, Any], tmp_path: Path
) -> None:
    _, processor = embedded
    model = load(str(EMBEDDED))[0].float()
    seeing = load(str(EMBEDDED))[0]
    assert embed_frames(attempts, seeing, processor, tmp_path / "embeds") > 0
    reader = processor.with_embeds(ImageEmbeds(tmp_path / "embeds"))
    rows = [policy_rows(folder, reader, worth)[0] for folder, worth in zip(attempts, (1.0, -1.0), strict=True)]
    before = _likelihoods(model, rows)
    kept = {name: value.clone() for name, value in model.visual.state_dict().items()}
    config = PolicyConfig(lr=3e-5, passes=4, rows_per_step=1, kl_limit=10.0)
    assert fit_policy(model, rows, config, tmp_path / "fit").reason == "done"
    after = _likelihoods(model, rows)
    assert after[0] - after[1] > before[0] - before[1] + 1e-3
    assert all(torch.equal(value, kept[name]) for name, value in model.visual.state_dict().items())
    strict = dataclasses.replace(config, lr=1e-3, kl_limit=1e-3)
    assert fit_policy(model, rows, strict, tmp_path / "far").reason == "kl"
    with pytest.raises(ConfigError, match="equally well"):
        fit_policy(model, [dataclasses.replace(row, advantage=0.0) for row in rows], config, tmp_path / "none")


def test_what_no_model_wrote_is_refused(tmp_path: Path, embedded: tuple[Any, Any]) -> None:
    from qwen2vl_agent.agent.scripted import OraclePolicy

    env = make_env("virtual-phone", size=(540, 1200))
    plan = EpisodePlan(out=tmp_path / "a", task="settings.toggle", seed=3, sync=False)
    run_episode(env, OraclePolicy(), plan, drive=drive_plainly)
    env.close()
    with pytest.raises(RecordError, match="no reply of a model"):
        policy_rows(tmp_path / "a", embedded[1], 1.0)


def test_screens_that_were_encoded_before_are_not_encoded_again(
    attempts: list[Path], embedded: tuple[Any, Any], tmp_path: Path
) -> None:
    model, processor = embedded
    first = embed_frames(attempts[:1], model, processor, tmp_path / "first")
    both = embed_frames(attempts, model, processor, tmp_path / "both")
    rest = embed_frames(attempts, model, processor, tmp_path / "rest", ImageEmbeds(tmp_path / "first"))
    assert 0 < rest == both - first
    joined = ImageEmbeds(tmp_path / "rest", tmp_path / "first")
    assert len(joined) == both == len(ImageEmbeds(tmp_path / "both"))
    known = ImageEmbeds(tmp_path / "both")
    assert embed_frames(attempts, model, processor, tmp_path / "none", known) == 0
    assert not (tmp_path / "none").exists()


def _likelihoods(model: Any, rows: list[Any]) -> list[float]:
    model.eval()
    with torch.inference_mode():
        return [float(written_logprobs(model, row.inputs, row.where, row.ids).mean()) for row in rows]
