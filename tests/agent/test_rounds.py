"""Several episodes at once with one model: their records are those of one at a time."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qwen2vl_agent.agent.jobs import Job
from qwen2vl_agent.agent.loading import load
from qwen2vl_agent.agent.model_policy import SamplingConfig
from qwen2vl_agent.agent.rollouts import collect_episodes
from qwen2vl_agent.agent.rounds import Rounds
from qwen2vl_agent.agent.settings import AgentConfig, taught_settings
from qwen2vl_agent.commands.models import EMBEDDED
from qwen2vl_agent.model.cache import Cache
from qwen2vl_agent.model.inputs import ModelInputs
from qwen2vl_agent.schema.messages import ImagePart, Message, TextPart
from qwen2vl_agent.trajectory.store import read_episode

TAUGHT = taught_settings(str(EMBEDDED))


@pytest.fixture(scope="module")
def embedded() -> tuple[Any, Any]:
    return load(str(EMBEDDED))


def phone_jobs() -> list[Job]:
    """Episodes of different lengths, one of which is drawn and one of which writes whatever it likes."""
    tasks = ("settings.toggle", "clock.add_labelled_alarm", "settings.toggle", "notes.append")
    common = {"policy": "model", "model": str(EMBEDDED), "env_kwargs": {"size": (540, 1200)}}
    agents = [replace(TAUGHT, max_steps=steps) for steps in (3, 1, 2, 2)]
    samplings: list[dict[str, Any]] = [{}, {"temperature": 1.0}, {"constrained": False}, {"draft_tokens": 0}]
    parts = zip(tasks, agents, samplings, strict=True)
    return [
        Job(task=task, seed=seed, agent=agent, sampling=sampling, **common)
        for seed, (task, agent, sampling) in enumerate(parts)
    ]


def game_jobs() -> list[Job]:
    """Gymnasium environments side by side; the model never saw such pictures, but its calls are valid."""
    agent = AgentConfig(detail="bare", max_steps=3)
    sampling = {"max_new_tokens": 40}
    ids = ("qwen2vl_agent/NumberLine-v0", "qwen2vl_agent/Blackjack-v0", "qwen2vl_agent/NumberLine-v0")
    return [
        Job(
            task=i,
            seed=seed,
            policy="model",
            model=str(EMBEDDED),
            env="gym",
            env_kwargs={"env_id": i},
            agent=agent,
            sampling=sampling,
        )
        for seed, i in enumerate(ids)
    ]


@pytest.mark.parametrize("make", [phone_jobs, game_jobs])
def test_episodes_side_by_side_are_recorded_as_one_by_one(tmp_path: Path, make: Any) -> None:
    jobs = make()
    alone = collect_episodes(jobs, tmp_path / "alone", workers=1)
    together = collect_episodes(jobs, tmp_path / "together", workers=1, parallel=len(jobs))
    assert alone.failures == together.failures == []
    for one, other in zip(alone.results, together.results, strict=True):
        usual, found = read_episode(one.folder), read_episode(other.folder)
        assert found.header == usual.header
        assert len(found.steps) == len(usual.steps) > 0
        for step, wanted in zip(found.steps, usual.steps, strict=True):
            assert step.reply.logprobs == pytest.approx(wanted.reply.logprobs, abs=1e-4)
            assert timeless(step) == timeless(wanted)


def timeless(step: Any) -> Any:
    """A step without its clock and without what rounding may touch."""
    reply = replace(
        step.reply,
        timings={},
        logprobs=(),
        sampling_logprobs=(),
        confidence=round(step.reply.confidence or 0.0, 3),
    )
    return replace(step, reply=reply, timings={}, **({"time": 0.0} if hasattr(step, "time") else {}))


def prompt(embedded: tuple[Any, Any], text: str) -> ModelInputs:
    from PIL import Image

    picture = ImagePart(Image.new("RGB", (112, 112)))
    return embedded[1]([Message("user", (picture, TextPart(text)))])


def test_a_round_waits_for_all_episodes_and_goes_on_when_one_leaves(embedded: tuple[Any, Any]) -> None:
    rounds, options = Rounds(*embedded), {"max_new_tokens": 4, "temperature": 0.0, "stop": (), "on_token": None}
    options |= {"seed": 0, "constraint": None, "draft_tokens": 0}
    written: dict[str, Any] = {}
    entered = threading.Barrier(3)

    def ask(text: str) -> None:
        with rounds.policy(SamplingConfig()):
            entered.wait()
            written[text] = rounds.generate(prompt(embedded, text), cache=Cache(), **options)

    asking = [threading.Thread(target=ask, args=(text,)) for text in ("one", "two")]
    with rounds.policy(SamplingConfig()):
        for thread in asking:
            thread.start()
        entered.wait()
        asking[0].join(timeout=0.5)
        assert written == {}, "the third episode has not asked yet"
    for thread in asking:
        thread.join(timeout=60)
    for text, result in written.items():
        assert result.token_ids == embedded[0].generate(prompt(embedded, text), max_new_tokens=4).token_ids
    assert len(written) == 2


def test_a_failing_text_fails_its_own_episode_only(embedded: tuple[Any, Any]) -> None:
    rounds, options = Rounds(*embedded), {"max_new_tokens": 4, "temperature": 0.0, "stop": (), "seed": 0}
    options |= {"constraint": None, "draft_tokens": 0}
    entered, found = threading.Barrier(2), {}

    def fail(token_id: int) -> None:
        raise RuntimeError("nobody listens")

    def ask(text: str, listener: Any) -> None:
        with rounds.policy(SamplingConfig()):
            entered.wait()
            try:
                found[text] = rounds.generate(prompt(embedded, text), cache=Cache(), on_token=listener, **options)
            except RuntimeError as error:
                found[text] = str(error)

    asking = [threading.Thread(target=ask, args=(text, heard)) for text, heard in (("one", None), ("two", fail))]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join(timeout=60)
    assert found["two"] == "nobody listens"
    assert found["one"].tokens["written"] == 4
