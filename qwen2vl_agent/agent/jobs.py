"""One episode among many: what to run, where its record lies, and what came of it."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qwen2vl_agent.agent.loading import LoadSettings
from qwen2vl_agent.agent.settings import AgentConfig
from qwen2vl_agent.schema.errors import RecordError
from qwen2vl_agent.schema.trajectory import EpisodeHeader, Outcome, Split
from qwen2vl_agent.trajectory.lines import HEADER_FILE, STEPS_FILE
from qwen2vl_agent.trajectory.store import read_header, whole_lines

FINISHED: tuple[Outcome, ...] = ("success", "failure", "unverified")
"""Outcomes that stand; an episode that was stopped or met an error goes on when it is collected again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """An episode to run."""

    task: str
    """Id of a bundled task."""
    seed: int
    policy: str = "oracle"
    """`model`, one without a model, or `dagger`: a model's attempt that the solution corrects."""
    split: Split = "train"
    model: str = ""
    """Folder or hub id, for a policy that asks it."""
    noise: float = 0.0
    """How often a scripted policy makes a deliberate mistake first."""
    draw: int = 0
    """Which of several attempts at the same episode: with it a model that samples takes other chances."""
    env: str = "virtual-phone"
    """What `make_env` takes."""
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    agent: AgentConfig = field(default_factory=AgentConfig)
    loading: LoadSettings = field(default_factory=LoadSettings)
    """How to load the model, for a policy that asks it."""
    sampling: dict[str, Any] = field(default_factory=dict)
    """Fields of `SamplingConfig`, for a policy that asks it."""
    thoughts: str = "own"
    """Whose words stand before a solution's calls: its `own`, `templates`, or those of a teacher at an address."""

    def __post_init__(self) -> None:
        if not 0 <= self.noise < 1:
            raise ValueError(f"noise is {self.noise}; expected a probability below 1")
        if self.thoughts != "own" and self.policy not in ("oracle", "dagger"):
            raise ValueError(f"the policy {self.policy!r} has no solution's calls whose thoughts could be written")

    @property
    def name(self) -> str:
        """The folder's name; the same job has the same name in every run."""
        kind = "".join(letter if letter.isalnum() or letter in ".-_" else "-" for letter in self.task)
        again = f"-{self.draw}" if self.draw else ""
        return f"{kind}-{self.split}-{self.seed:06d}-{self.policy}{again}"


@dataclass(frozen=True, slots=True)
class EpisodeResult:
    """What came of a job."""

    job: Job
    folder: Path
    outcome: Outcome
    reward: float
    steps: int
    unseen: bool
    """Whether the task drew names or texts that training never holds."""
    message: str = ""
    seconds: float = 0.0
    """0 where the episode was found finished."""


def result_of(job: Job, folder: Path, header: EpisodeHeader, steps: int, seconds: float = 0.0) -> EpisodeResult:
    """The result that a finished header tells."""
    assert header.outcome is not None
    unseen = bool(header.config.get("unseen", False))
    return EpisodeResult(job, folder, header.outcome, header.reward, steps, unseen, header.message, seconds)


def finished_result(out: Path, job: Job) -> EpisodeResult | None:
    """The result of a job that was finished earlier; None if it is still to be run or to be ended.

    Raises:
        RecordError: the folder holds an episode of another job.
    """
    folder = out / job.name
    if not (folder / HEADER_FILE).is_file():
        return None
    header = read_header(folder)
    check_same_job(folder, header, job)
    if header.outcome not in FINISHED:
        return None
    return result_of(job, folder, header, len(whole_lines(folder / STEPS_FILE)))


def check_same_job(folder: Path, header: EpisodeHeader, job: Job) -> None:
    """See that an episode found in a job's folder was run as the job says.

    Raises:
        RecordError: it was not; to mix the two would measure neither.
    """
    wanted = job_notes(job)
    found = _completed(header.config.get("job"))
    if found != wanted:
        differing = [name for name in wanted if not isinstance(found, dict) or found.get(name) != wanted[name]]
        raise RecordError(
            f"{folder} holds an episode that was run with other settings ({', '.join(differing)}); "
            "collect into another folder"
        )


def job_notes(job: Job) -> dict[str, Any]:
    """A job as a header keeps it: everything that decides what happens in the episode."""
    return _plain({item.name: getattr(job, item.name) for item in dataclasses.fields(job)})


def _completed(found: Any) -> Any:
    """A recorded job with what an older version did not have yet, at its default."""
    if not isinstance(found, dict):
        return found
    usual = job_notes(Job(task="", seed=0))
    whole = {**usual, **found}
    nested = [name for name, value in usual.items() if isinstance(value, dict) and isinstance(whole[name], dict)]
    return {**whole, **{name: {**usual[name], **whole[name]} for name in nested}}


def _plain(value: Any) -> Any:
    """As JSON gives it back: lists for tuples, objects for dataclasses."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _plain(dataclasses.asdict(value))
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
