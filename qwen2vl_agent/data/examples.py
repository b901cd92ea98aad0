"""From recorded episodes to examples: what the agent saw and wrote, token for token, as a conversation to learn."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from qwen2vl_agent.data.example import Example
from qwen2vl_agent.data.order import epoch_order
from qwen2vl_agent.dialogue.compose import Dialogue, Turn, compose_finished
from qwen2vl_agent.dialogue.encode import Encoded
from qwen2vl_agent.dialogue.memory import stretches
from qwen2vl_agent.dialogue.processor import Processor
from qwen2vl_agent.dialogue.recorded import recorded_clip, recorded_dialogue, stored_part
from qwen2vl_agent.schema.errors import ConfigError, RecordError
from qwen2vl_agent.schema.messages import Message
from qwen2vl_agent.schema.trajectory import Outcome, Step
from qwen2vl_agent.trajectory.frames import FrameStore
from qwen2vl_agent.trajectory.store import episodes, frames_folder, read_episode, read_header


@dataclass(frozen=True)
class EpisodeSource:
    """Recorded episodes, each epoch in another order.

    An episode whose agent let some of its past go is learned from as it was seen, another part in each epoch.
    """

    folders: Sequence[Path]
    name: str = "episodes"
    seed: int = 0
    weights: Sequence[float] = ()
    """What each episode counts; all 1 if left out."""
    first_steps: int | None = None
    """Learn from only so many steps at an episode's beginning; None for all."""

    def __post_init__(self) -> None:
        if not self.folders:
            raise ConfigError(f"the source {self.name!r} has no episodes; collect some first")
        if self.weights and len(self.weights) != len(self.folders):
            raise ValueError(f"{len(self.weights)} weights for {len(self.folders)} episodes")
        if self.first_steps is not None and self.first_steps < 1:
            raise ValueError(f"first_steps is {self.first_steps}; expected at least 1")

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

    def example(self, index: int) -> "RecordedEpisode":
        """The episode with this number; after the last one they start again in another order."""
        epoch, place = divmod(index, len(self.folders))
        number = int(epoch_order(len(self.folders), self.seed, epoch)[place])
        weight = self.weights[number] if self.weights else 1.0
        return RecordedEpisode(self.folders[number], self.name, weight, epoch, self.first_steps)


@dataclass(frozen=True, slots=True)
class RecordedEpisode:
    """An episode to learn from, read late: what was in view at which step depends on the processor's tokens."""

    folder: Path
    source: str = "episodes"
    weight: float = 1.0
    epoch: int = 0
    """Of several parts, the one with this number, counted round."""
    first_steps: int | None = None
    """As of the source."""

    def part(self, processor: Processor) -> Example:
        """The conversation, as the agent was shown it.

        Raises:
            RecordError: as `episode_example`.
        """
        parts = episode_parts(self.folder, processor, self.source, self.weight, self.first_steps)
        return parts[self.epoch % len(parts)]

    def encode(self, processor: Any) -> Encoded:
        """Its tensors."""
        return self.part(processor).encode(processor)


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


def episode_parts(
    folder: Path | str,
    processor: Processor,
    source: str = "episodes",
    weight: float = 1.0,
    first_steps: int | None = None,
) -> list[Example]:
    """A recorded episode as the conversations that its agent was shown: several where its past was too long to keep.

    Each reply is a target in one of them, in the very context in which it was written (`dialogue/memory.py`).
    `first_steps` as of `episode_example`.

    Raises:
        RecordError: as `episode_example`.
    """
    dialogue, turns = recorded_turns(folder)
    parts = [Example(messages, source, weight) for messages, _ in _as_seen(dialogue, turns[:first_steps], processor)]
    return [part for part in parts if part.has_targets] or parts[:1]


def attempt_parts(
    folder: Path | str, processor: Processor, source: str = "attempts"
) -> list[tuple[Example, tuple[int, ...]]]:
    """A model's own episode with everything that it wrote as a target, mistakes too: for a policy's gradient.

    Parts as of `episode_parts`, each with the numbers of the steps whose replies are its targets.

    Raises:
        RecordError: as `episode_example`.
    """
    dialogue, turns = recorded_turns(folder)
    tried = [replace(turn, target=turn.reply_token_ids is not None) for turn in turns]
    return [(Example(messages, source), steps) for messages, steps in _as_seen(dialogue, tried, processor)]


def _as_seen(
    dialogue: Dialogue, turns: Sequence[Turn], processor: Processor
) -> Iterator[tuple[list[Message], tuple[int, ...]]]:
    """The conversations that an agent was shown, and the steps whose replies each adds."""
    done = 0
    for stretch in stretches(dialogue, turns, processor):
        known = [replace(turn, target=False) for turn in stretch.past.turns[: stretch.first]]
        added = stretch.past.turns[stretch.first :]
        yield (
            compose_finished(dialogue, [*known, *added], stretch.past.earlier),
            tuple(range(done, done + len(added))),
        )
        done += len(added)


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
