"""From recorded episodes to examples: what the agent saw and wrote, token for token, as a conversation to learn."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from qwen2vl_agent.data.example import Example
from qwen2vl_agent.dialogue.compose import Dialogue, Turn, compose_finished
from qwen2vl_agent.dialogue.memory import stretches
from qwen2vl_agent.dialogue.processor import Processor
from qwen2vl_agent.dialogue.recorded import recorded_clip, recorded_dialogue, stored_part
from qwen2vl_agent.schema.errors import ConfigError, RecordError
from qwen2vl_agent.schema.trajectory import Outcome, Step
from qwen2vl_agent.trajectory.frames import FrameStore
from qwen2vl_agent.trajectory.store import episodes, frames_folder, read_episode, read_header


@dataclass(frozen=True)
class EpisodeSource:
    """Recorded episodes, each epoch in another order."""

    folders: Sequence[Path]
    name: str = "episodes"
    seed: int = 0
    weights: Sequence[float] = ()
    """What each episode counts; all 1 if left out."""
    processor: Processor | None = None
    """With it, an episode whose agent let some of its past go is learned from as it was seen, another part in each
    epoch; without it, as a whole."""
    first_steps: int | None = None
    """Learn from only so many steps at an episode's beginning; None for all. Not with a processor."""

    def __post_init__(self) -> None:
        if not self.folders:
            raise ConfigError(f"the source {self.name!r} has no episodes; collect some first")
        if self.weights and len(self.weights) != len(self.folders):
            raise ValueError(f"{len(self.weights)} weights for {len(self.folders)} episodes")
        if self.first_steps is not None and (self.first_steps < 1 or self.processor is not None):
            raise ValueError("first_steps is at least 1, and goes without a processor")

    @classmethod
    def below(
        cls, root: Path | str, name: str = "episodes", seed: int = 0, outcomes: Iterable[Outcome] = ("success",)
    ) -> "EpisodeSource":
        """The episodes at or below `root` that ended so.

        Raises:
            ConfigError: there are none.
        """
        wanted = set(outcomes)
        return cls([folder for folder in episodes(root) if read_header(folder).outcome in wanted], name, seed)

    def example(self, index: int) -> Example:
        """The episode with this number; after the last one they start again in another order."""
        epoch, place = divmod(index, len(self.folders))
        number = _order(len(self.folders), self.seed, epoch)[place]
        folder, weight = self.folders[number], self.weights[number] if self.weights else 1.0
        if self.processor is None:
            return episode_example(folder, self.name, weight, self.first_steps)
        parts = episode_parts(folder, self.processor, self.name, weight)
        return parts[epoch % len(parts)]


def episode_example(
    folder: Path | str, source: str = "episodes", weight: float = 1.0, first_steps: int | None = None
) -> Example:
    """A recorded episode as one conversation, with all that it ever showed. Its frames are read when it is encoded.

    With `first_steps` it ends after so many, and is left open where the episode went on. Replies marked as no target,
    and those that could not be read or done, are context only.

    Raises:
        RecordError: no episode there, damaged, empty, or with a tool that nothing describes.
    """
    dialogue, turns = recorded_turns(folder)
    return Example(compose_finished(dialogue, turns[:first_steps]), source, weight)


def attempt_example(folder: Path | str, source: str = "attempts") -> Example:
    """A model's own episode with everything that it wrote as a target, mistakes too: for a policy's gradient.

    Raises:
        RecordError: as `episode_example`.
    """
    dialogue, turns = recorded_turns(folder)
    tried = [replace(turn, target=turn.reply_token_ids is not None) for turn in turns]
    return Example(compose_finished(dialogue, tried), source)


def episode_parts(
    folder: Path | str, processor: Processor, source: str = "episodes", weight: float = 1.0
) -> list[Example]:
    """A recorded episode as the conversations that its agent was shown: several where its past was too long to keep.

    Each reply is a target in one of them, in the very context in which it was written (`dialogue/memory.py`).

    Raises:
        RecordError: as `episode_example`.
    """
    dialogue, turns = recorded_turns(folder)
    parts = []
    for stretch in stretches(dialogue, turns, processor):
        known = [replace(turn, target=False) for turn in stretch.past.turns[: stretch.first]]
        turns_seen = [*known, *stretch.past.turns[stretch.first :]]
        messages = compose_finished(dialogue, turns_seen, stretch.past.earlier)
        parts.append(Example(messages, source, weight))
    return [part for part in parts if part.has_targets] or parts[:1]


def recorded_turns(folder: Path | str) -> tuple[Dialogue, list[Turn]]:
    """The head of an episode's conversation and its steps as turns, frames by their paths.

    Raises:
        RecordError: as `episode_example`.
    """
    trajectory = read_episode(folder)
    if not trajectory.steps:
        raise RecordError(f"{folder} holds an episode without steps: there is nothing to learn from it")
    frames = FrameStore(frames_folder(folder))
    return recorded_dialogue(trajectory.header), [_turn(step, frames) for step in trajectory.steps]


def _turn(step: Step, frames: FrameStore) -> Turn:
    return Turn(
        image=stored_part(frames.path(step.frame), step.frame),
        clip=recorded_clip(step.clip, frames.path),
        observation_text=step.observation_text,
        reply_text=step.reply.text,
        reply_token_ids=step.reply.token_ids or None,
        result_text=step.error,
        target=step.reply.target and not step.error,
    )


@lru_cache(maxsize=4)
def _order(count: int, seed: int, epoch: int) -> tuple[int, ...]:
    shuffled = np.random.Generator(np.random.Philox(key=[seed & (2**64 - 1), epoch])).permutation(count)
    return tuple(shuffled.tolist())
