"""Proof that a record is exact: its steps are composed and encoded again, and the model scores its own words again.

An episode's context only grows, so the last step's context usually holds those of all steps before it: one pass of the
model then checks them all. A step whose context is not the beginning of a later one gets a pass of its own.
"""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from qwen2vl_agent.agent.nodes import turn_of
from qwen2vl_agent.dialogue.compose import compose
from qwen2vl_agent.dialogue.memory import remembered
from qwen2vl_agent.dialogue.recorded import recorded_dialogue
from qwen2vl_agent.model.inputs import ModelInputs
from qwen2vl_agent.schema.geometry import Frame
from qwen2vl_agent.schema.observation import Observation
from qwen2vl_agent.schema.trajectory import Step, Trajectory
from qwen2vl_agent.trajectory.frames import FrameStore
from qwen2vl_agent.trajectory.store import episodes, frames_folder, read_episode

TOLERANCE = 1e-4
"""Largest difference of a log-probability in float32 that the order of additions explains."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A step whose ids come out otherwise when it is encoded again."""

    folder: Path
    index: int
    place: int
    """First place in the prompt that differs."""


@dataclass(slots=True)
class Verification:
    """What was checked, and what differs."""

    steps: int = 0
    """Steps that a model wrote."""
    mismatches: list[Mismatch] = field(default_factory=list)
    worst_logprob_difference: float = 0.0
    passes: int = 0
    """How often the model read a context."""

    def equal(self, tolerance: float = TOLERANCE) -> bool:
        """Whether everything came out as recorded."""
        return not self.mismatches and self.worst_logprob_difference <= tolerance

    def add(self, other: "Verification") -> None:
        """Take in another episode's."""
        self.steps += other.steps
        self.passes += other.passes
        self.mismatches += other.mismatches
        self.worst_logprob_difference = _worse(self.worst_logprob_difference, other.worst_logprob_difference)


def verify(
    root: Path | str,
    model: Any,
    processor: Any,
    on_episode: Callable[[Path, Verification], None] = lambda folder, found: None,
) -> Verification:
    """Check every episode at or below `root` against the model that wrote it.

    Raises:
        RecordError: an episode or a frame is damaged.
    """
    total = Verification()
    for folder in episodes(root):
        found = verify_episode(folder, model, processor)
        on_episode(folder, found)
        total.add(found)
    return total


@torch.inference_mode()
def verify_episode(folder: Path, model: Any, processor: Any) -> Verification:
    """Check one episode."""
    trajectory = read_episode(folder)
    replay = _Replay(folder, trajectory, processor)
    written = [step for step in trajectory.steps if step.reply.token_ids]
    found = Verification(steps=len(written))
    while written:
        last = written.pop()
        inputs = replay.inputs(last.index)
        whole = (*inputs.input_ids.tolist(), *last.reply.token_ids)
        covered = [step for step in written if _context(step) == whole[: len(_context(step))]]
        written = [step for step in written if step not in covered]
        difference = _difference(inputs.input_ids.tolist(), last.reply.prompt_ids)
        if difference is not None:
            found.mismatches.append(Mismatch(folder, last.index, difference))
            written += covered  # they are shown by contexts of their own
            written.sort(key=lambda step: step.index)
            continue
        found.passes += 1
        worst = score_difference(model, inputs, last, covered)
        found.worst_logprob_difference = _worse(found.worst_logprob_difference, worst)
    found.mismatches.reverse()
    return found


def score_difference(model: Any, prompt: ModelInputs, last: Step, covered: list[Step]) -> float:
    """The largest difference between recorded log-probabilities and those of one full pass over `last`'s context.

    A written id that looks like the place of an image is read as the plain token it was when it was written.
    """
    prompt = prompt.to(model.device)
    written = torch.tensor(last.reply.token_ids, device=model.device)
    embedded = torch.cat((model.embed(prompt), model.language_model.embed_tokens(written)[None]), dim=1)
    inputs = _extended(prompt, written)
    hidden_TD = model.read(embedded, inputs, None, False)[0]
    worst = 0.0
    for step in (*covered, last):
        start, ids = len(step.reply.prompt_ids), torch.tensor(step.reply.token_ids, device=model.device)
        logits = model.lm_head(hidden_TD[start - 1 : start - 1 + len(ids)]).float()
        scores = logits.gather(1, ids[:, None])[:, 0] - logits.logsumexp(-1)
        recorded = torch.tensor(step.reply.logprobs, device=model.device)
        worst = _worse(worst, (scores - recorded).abs().max().item())
    return worst


def _worse(one: float, other: float) -> float:
    """The larger of two differences; one that is no number is worse than any, where `max` would pass over it."""
    return one if math.isnan(one) or one > other else other


class _Replay:
    """An episode's contexts, composed and encoded as when it ran."""

    def __init__(self, folder: Path, trajectory: Trajectory, processor: Any) -> None:
        self._dialogue = recorded_dialogue(trajectory.header)
        self._processor = processor
        frames = FrameStore(frames_folder(folder))
        self._steps = trajectory.steps
        self._turns = [turn_of(step, frames.get) for step in trajectory.steps]

    def inputs(self, index: int) -> ModelInputs:
        """What the model read at a step."""
        step, turn = self._steps[index], self._turns[index]
        frame = Frame("screenshot", step.frame.width, step.frame.height)
        observation = Observation(turn.image, frame, step.observation_text, turn.clip)
        past = remembered(self._dialogue, self._turns[:index], observation, self._processor)
        return self._processor(compose(self._dialogue, past.turns, observation, past.earlier))


def _context(step: Step) -> tuple[int, ...]:
    return step.reply.prompt_ids + step.reply.token_ids


def _difference(found: list[int], recorded: tuple[int, ...]) -> int | None:
    """First place where two sequences differ; None if they are equal."""
    for place, (one, other) in enumerate(zip(found, recorded, strict=False)):
        if one != other:
            return place
    return None if len(found) == len(recorded) else min(len(found), len(recorded))


def _extended(prompt: ModelInputs, written: Tensor) -> ModelInputs:
    """The prompt with text after it; text goes on at the largest position plus one, alike in all three components."""
    first = prompt.position_ids.max() + 1
    positions = (first + torch.arange(len(written), device=written.device)).expand(3, -1)
    return dataclasses.replace(
        prompt,
        input_ids=torch.cat((prompt.input_ids, written)),
        position_ids=torch.cat((prompt.position_ids, positions), dim=1),
    )
