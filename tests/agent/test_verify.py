"""What a model wrote in an episode is encoded again to the same ids, and scored again to the same probabilities."""

import dataclasses
import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from corridor import Corridor, call
from decided_model import decided_model

from qwen2vl_agent.agent.episode import Agent, run_episode
from qwen2vl_agent.agent.model_policy import ModelPolicy, SamplingConfig
from qwen2vl_agent.agent.policy import scripted_policy
from qwen2vl_agent.agent.settings import AgentConfig, EpisodePlan
from qwen2vl_agent.agent.verify import verify, verify_episode
from qwen2vl_agent.data.examples import EpisodeSource, episode_parts
from qwen2vl_agent.data.packing import IGNORED, Row, pack
from qwen2vl_agent.dialogue.processor import Processor
from qwen2vl_agent.model.generate import GenerationResult
from qwen2vl_agent.model.image_processor import ImageProcessor
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.model.tokenizer import train_tokenizer
from qwen2vl_agent.schema.errors import RecordError
from qwen2vl_agent.training.loss import target_loss
from qwen2vl_agent.training.policy_gradient import written_logprobs
from qwen2vl_agent.training.policy_rows import policy_rows

REPLIES = [call("tap", '{"point": [758, 504]}', "Go on.")] * 3 + [call("done", thought="Done.")]


@pytest.fixture(scope="module")
def processor() -> Processor:
    tokenizer = train_tokenizer([*REPLIES, "✿RESULT✿: ✿RETURN✿: <tool_call> </tool_call>"] * 3, 420)
    return Processor(tokenizer, ImageProcessor(min_pixels=28 * 28, max_pixels=56 * 112))


@pytest.fixture(scope="module")
def model(processor: Processor) -> Qwen2VL:
    return decided_model(processor)


class Dictated:
    """A model that writes what it is told to, with the probabilities that it really gives to that."""

    def __init__(self, model: Qwen2VL, processor: Processor, texts: list[str]) -> None:
        self._model, self._processor, self._texts = model, processor, iter(texts)

    def generate(self, inputs: Any, on_token: Any = None, **options: Any) -> GenerationResult:
        ids = self._processor.tokenizer.encode(next(self._texts) + "\n✿RESULT✿")
        more = torch.tensor(ids)
        positions = (inputs.position_ids.max() + 1 + torch.arange(len(ids))).expand(3, -1)
        whole = dataclasses.replace(
            inputs,
            input_ids=torch.cat((inputs.input_ids, more)),
            position_ids=torch.cat((inputs.position_ids, positions), dim=1),
        )
        for token in ids if on_token else []:
            on_token(token)
        return GenerationResult(ids, self._model.score(whole)[-len(ids) :].tolist(), {"decode": 0.1})


def test_an_episode_in_the_keyword_form_is_verified_in_one_pass(
    tmp_path: Path, model: Qwen2VL, processor: Processor
) -> None:
    policy = ModelPolicy(Dictated(model, processor, REPLIES), processor)
    trajectory = run_episode(Corridor(), policy, EpisodePlan(out=tmp_path))
    assert trajectory.header.outcome == "success"
    assert trajectory.steps[0].reply.text == REPLIES[0]
    assert set(trajectory.steps[0].reply.timings) == {"preprocess", "decode"}
    found = verify_episode(tmp_path, model, processor)
    assert (found.steps, found.mismatches, found.passes) == (4, [], 1)
    assert found.worst_logprob_difference < 1e-4
    assert found.equal()


@pytest.mark.parametrize("form", ["keyword", "tool_call"])
@pytest.mark.parametrize("temperature", [0.0, 3.0])
@pytest.mark.parametrize("constrained", [True, False])
def test_whatever_a_model_writes_can_be_verified(
    tmp_path: Path, model: Qwen2VL, processor: Processor, form: Any, temperature: float, constrained: bool
) -> None:
    """At a high temperature a random model writes anything, ends of turns and places of images included."""
    config = AgentConfig(form=form, mistakes_in_a_row=99, max_steps=8)
    sampling = SamplingConfig(max_new_tokens=40, temperature=temperature, constrained=constrained)
    trajectory = run_episode(
        Corridor(), ModelPolicy(model, processor, sampling), EpisodePlan(out=tmp_path, seed=4), config
    )
    steps = len(trajectory.steps)
    assert steps == 8 or constrained  # a random model soon calls `done` where only calls can follow a keyword
    assert all(len(step.reply.logprobs) == len(step.reply.token_ids) > 0 for step in trajectory.steps)
    found = verify_episode(tmp_path, model, processor)
    assert (found.steps, found.mismatches) == (steps, [])
    assert found.worst_logprob_difference < 1e-4


@pytest.mark.parametrize("limits", [{"max_frames": 3}, {"max_context_tokens": 900}])
def test_an_agent_that_lets_old_screens_go_can_be_verified(
    tmp_path: Path, model: Qwen2VL, processor: Processor, limits: Any
) -> None:
    config = AgentConfig(mistakes_in_a_row=99, max_steps=12, detail="bare", **limits)
    policy = ModelPolicy(model, processor, SamplingConfig(max_new_tokens=40))
    trajectory = run_episode(Corridor(), policy, EpisodePlan(out=tmp_path, seed=4), config)
    contexts = [step.reply.prompt_ids for step in trajectory.steps]
    assert any(after[: len(before)] != before for before, after in pairwise(contexts)), "something went"
    found = verify_episode(tmp_path, model, processor)
    assert (found.steps, found.mismatches) == (12, [])
    assert found.passes > 1
    assert found.worst_logprob_difference < 1e-4


@pytest.mark.parametrize("limits", [{"max_frames": 3}, {"max_context_tokens": 400}, {}])
def test_what_is_learned_from_is_what_was_seen_where_old_screens_went_too(
    tmp_path: Path, model: Qwen2VL, processor: Processor, limits: Any
) -> None:
    """Each reply is to be predicted once, after exactly the ids that its model read."""
    texts = [*([call("tap", '{"point": [200, 504]}', "Go back.")] * 8), REPLIES[-1]]
    config = AgentConfig(detail="bare", hint_after=0, stop_after=0, max_steps=12, **limits)
    policy = ModelPolicy(Dictated(model, processor, texts), processor)
    steps = run_episode(Corridor(), policy, EpisodePlan(out=tmp_path, seed=4), config).steps
    wanted = [(step.reply.prompt_ids, step.reply.token_ids) for step in steps]
    found = []
    parts = episode_parts(tmp_path, processor)
    for part in parts:
        encoded = processor.encode(part.messages)
        ids, learnt = tuple(encoded.inputs.input_ids.tolist()), (encoded.labels != -100).tolist()
        for prompt, written in wanted:
            end = len(prompt) + len(written)
            if ids[:end] == prompt + written and all(learnt[len(prompt) : end]):
                found.append((prompt, written))
    assert found == wanted
    assert (len(parts) > 1) == bool(limits)


@pytest.mark.parametrize("limits", [{"max_frames": 3}, {"max_context_tokens": 900}, {}])
def test_the_training_loss_on_written_tokens_is_what_was_recorded_where_old_screens_went_too(
    tmp_path: Path, model: Qwen2VL, processor: Processor, limits: Any
) -> None:
    """What the model wrote with its cache, step by step, against one pass over each part that is learned from."""
    config = AgentConfig(mistakes_in_a_row=99, max_steps=12, detail="bare", **limits)
    policy = ModelPolicy(model, processor, SamplingConfig(max_new_tokens=40))
    steps = run_episode(Corridor(), policy, EpisodePlan(out=tmp_path, seed=4), config).steps
    free = sum(not forced for step in steps for forced in step.reply.forced)
    closed = sum("no function call" in step.error for step in steps)  # their last mark stands in no conversation
    rows = policy_rows(tmp_path, processor, 1.0)
    assert free - closed <= sum(len(row.ids) for row in rows) <= free
    assert (len(rows) > 1) == bool(limits)
    with torch.inference_mode():
        for row in rows:
            found = written_logprobs(model, row.inputs, row.where, row.ids)
            assert float((found - row.old).abs().max()) < 1e-4


@pytest.mark.parametrize("limits", [{"max_frames": 3}, {"max_context_tokens": 400}, {}])
def test_imitations_loss_is_minus_the_recorded_log_probabilities(
    tmp_path: Path, model: Qwen2VL, processor: Processor, limits: Any
) -> None:
    texts = [*([call("tap", '{"point": [200, 504]}', "Go back.")] * 8), REPLIES[-1]]
    config = AgentConfig(detail="bare", hint_after=0, stop_after=0, max_steps=12, **limits)
    policy = ModelPolicy(Dictated(model, processor, texts), processor)
    steps = run_episode(Corridor(), policy, EpisodePlan(out=tmp_path, seed=4), config).steps
    source, rows = EpisodeSource([tmp_path]), []
    for epoch in range(len(episode_parts(tmp_path, processor))):
        encoded = source.example(epoch).encode(processor)
        closing = encoded.labels == processor.tokenizer.special.im_end
        rows.append(Row(encoded.inputs, encoded.labels.masked_fill(closing, IGNORED), "episodes"))
    with torch.inference_mode():
        found = target_loss(model, pack(rows))
    recorded = [logprob for step in steps for logprob in step.reply.logprobs]
    assert found.counts.tolist() == [len(recorded)]
    assert float(found.total) / len(recorded) == pytest.approx(-sum(recorded) / len(recorded), abs=1e-4)


def test_the_tokens_of_a_reply_are_counted(tmp_path: Path, model: Qwen2VL, processor: Processor) -> None:
    config = AgentConfig(mistakes_in_a_row=99, max_steps=3, detail="bare")
    policy = ModelPolicy(model, processor, SamplingConfig(max_new_tokens=10))
    steps = run_episode(Corridor(), policy, EpisodePlan(out=tmp_path, seed=4), config).steps
    for before, step in pairwise(steps):
        known = len(before.reply.prompt_ids) + len(before.reply.token_ids) - 1
        read = len(step.reply.prompt_ids) - known
        assert step.reply.tokens == {"cached": known, "read": read, "written": len(step.reply.token_ids)}
        assert set(step.reply.timings) == {"preprocess", "vit", "prefill", "decode"}


def test_differences_are_found(tmp_path: Path, model: Qwen2VL, processor: Processor) -> None:
    run_episode(Corridor(), ModelPolicy(Dictated(model, processor, REPLIES), processor), EpisodePlan(out=tmp_path))
    path = tmp_path / "steps.jsonl"
    whole = path.read_text()
    lines = [json.loads(line) for line in whole.splitlines()]
    lines[1]["reply"]["logprobs"][0] -= 0.5
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = verify(tmp_path, model, processor)
    assert found.worst_logprob_difference == pytest.approx(0.5, abs=1e-3)
    assert not found.equal()
    lines = [json.loads(line) for line in whole.splitlines()]
    lines[3]["observation_text"] = "something was told"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = verify(tmp_path, model, processor)
    assert [mismatch.index for mismatch in found.mismatches] == [3]
    assert found.passes == 1
    assert not found.equal()


@pytest.mark.parametrize("step", [0, 3])
def test_a_probability_that_is_no_number_is_a_difference(
    tmp_path: Path, model: Qwen2VL, processor: Processor, step: int
) -> None:
    for name in ("a", "b"):
        policy = ModelPolicy(Dictated(model, processor, REPLIES), processor)
        run_episode(Corridor(), policy, EpisodePlan(out=tmp_path / name))
    path = tmp_path / "a" / "steps.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[step]["reply"]["logprobs"][1] = float("nan")
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = verify(tmp_path, model, processor)
    assert math.isnan(found.worst_logprob_difference)
    assert not found.equal()


def test_a_frame_that_was_changed_is_found(tmp_path: Path, model: Qwen2VL, processor: Processor) -> None:
    run_episode(Corridor(), ModelPolicy(Dictated(model, processor, REPLIES), processor), EpisodePlan(out=tmp_path))
    frame = next((tmp_path / "frames").iterdir())
    frame.write_bytes(frame.read_bytes()[:-1] + b"x")
    with pytest.raises(RecordError, match="damaged"):
        verify_episode(tmp_path, model, processor)


def test_a_record_with_an_unknown_tool_is_the_operators_to_mend(
    tmp_path: Path, model: Qwen2VL, processor: Processor
) -> None:
    run_episode(Corridor(), ModelPolicy(Dictated(model, processor, REPLIES), processor), EpisodePlan(out=tmp_path))
    path = tmp_path / "episode.json"
    path.write_text(path.read_text().replace('"swipe"', '"teleport"'))
    with pytest.raises(RecordError, match="'teleport'"):
        verify_episode(tmp_path, model, processor)


def test_steps_without_a_model_are_not_counted(tmp_path: Path, model: Qwen2VL, processor: Processor) -> None:
    run_episode(Corridor(), scripted_policy("oracle"), EpisodePlan(out=tmp_path))
    assert verify(tmp_path, model, processor).steps == 0


def test_an_agent_is_the_short_way_to_an_episode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Qwen2VL, processor: Processor
) -> None:
    monkeypatch.chdir(tmp_path)
    agent = Agent(model, processor, AgentConfig(mistakes_in_a_row=2), max_new_tokens=8)
    trajectory = agent.run(Corridor(), task="corridor.walk")
    assert trajectory.header.outcome == "failure"
    assert agent.folder is not None
    assert agent.folder.parent == Path("runs")
    assert verify(agent.folder, model, processor).steps == 2


def test_an_agents_record_names_the_checkpoint_it_ran_with(
    tmp_path: Path, model: Qwen2VL, processor: Processor
) -> None:
    processor.save_pretrained(tmp_path / "model")
    agent = Agent(model, Processor.from_pretrained(tmp_path / "model"), AgentConfig(mistakes_in_a_row=1))
    header = agent.run(Corridor(), task="corridor.walk", out=tmp_path / "episode").header
    assert header.model == str((tmp_path / "model").resolve())
    assert Agent(model, processor).run(Corridor(), out=tmp_path / "other").header.model == ""


def test_an_interrupted_model_goes_on_as_it_would_have(tmp_path: Path, model: Qwen2VL, processor: Processor) -> None:
    config = AgentConfig(mistakes_in_a_row=99, max_steps=5)
    policy = ModelPolicy(model, processor, SamplingConfig(max_new_tokens=10, temperature=1.0))
    whole = run_episode(Corridor(), policy, EpisodePlan(out=tmp_path / "whole", seed=4), config)
    run_episode(Corridor(), policy, EpisodePlan(out=tmp_path / "cut", seed=4), config)
    lines = (tmp_path / "cut" / "steps.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "cut" / "steps.jsonl").write_bytes(b"".join(lines[:2]) + lines[2][:40])
    resumed = run_episode(Corridor(), policy, EpisodePlan(out=tmp_path / "cut", seed=4, resume="replay"), config)
    assert [step.reply.token_ids for step in resumed.steps] == [step.reply.token_ids for step in whole.steps]
