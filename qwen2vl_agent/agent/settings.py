"""How an agent goes about an episode; kept in the record, so that the episode can be composed again."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from qwen2vl_agent.agent.rules import Rules
from qwen2vl_agent.dialogue.compose import Memory
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.schema.trajectory import CallForm, Split

AGENT_FILE = "agent_config.json"
"""Beside a checkpoint: the settings of the agent whose dialogues it was taught (`dialogue/processor.py` saves it)."""

CONTEXT_TOKENS = 32_768 - 1_024
"""The published context less room for a reply. Source: `max_position_embeddings` of the published config.json."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AgentConfig:
    """The dialogue's form, and when to give up."""

    form: CallForm = "keyword"
    """How calls are written; see `dialogue/tool_call.py`."""
    language: Literal["en", "zh"] = "en"
    """Of the tool prompt."""
    detail: Literal["full", "brief", "bare"] = "full"
    """How much the tool prompt explains."""
    max_steps: int | None = None
    """None: the task's own limit."""
    blind: bool = False
    """Show a grey screen of equal size: what remains is what can be done without looking."""
    max_frames: int | None = None
    """Screens that the model still sees, the present one included; None: all. See `dialogue/memory.py`."""
    max_context_tokens: int | None = CONTEXT_TOKENS
    """Tokens of the conversation before old screens go, then old words; None: no limit."""
    memory: Memory = "none"
    """What stays of steps that are let go of: nothing, the model's `notes`, or a `summary`: notes and a line for each.
    Unless it is `none`, the full tool prompt asks for a plan and for notes. See `dialogue/earlier.py`."""
    mistakes_in_a_row: int = 5
    """So many replies in a row that cannot be read, or calls that the device rejects, end the episode."""
    hint_after: int = 4
    """After the same action on the same screen so many times the model is told so; 0: never."""
    stop_after: int = 12
    """After the same action on the same screen so many times the episode ends; 0: never."""
    other_after: int = 0
    """After the same action on the same screen so many times a model draws another, unless it waits; 0: never."""
    verified: bool = False
    """Tell the model what became of its actions (nothing changed, text lost and typed again, the device is locked), and
    know loops by what a screen looks like. Off for models that were taught without: they never read such words."""
    second_look: bool = False
    """After each step the model is asked apart whether it had its effect; a doubt is told with the next screen."""
    ask_below: float = 0.0
    """A person who is there is asked about calls of which the model is less sure than this probability; 0: never."""

    def __post_init__(self) -> None:
        if self.max_steps is not None and self.max_steps < 1:
            raise ValueError(f"max_steps is {self.max_steps}; expected at least 1")
        if self.max_frames is not None and self.max_frames < 1:
            raise ValueError(f"max_frames is {self.max_frames}; expected at least 1")
        if self.max_context_tokens is not None and self.max_context_tokens < 1:
            raise ValueError(f"max_context_tokens is {self.max_context_tokens}; expected at least 1")
        if self.mistakes_in_a_row < 1:
            raise ValueError(f"mistakes_in_a_row is {self.mistakes_in_a_row}; expected at least 1")
        if min(self.hint_after, self.stop_after, self.other_after) < 0:
            raise ValueError("hint_after, other_after and stop_after count repetitions; expected 0 (never) or more")
        if not 0 <= self.ask_below <= 1:
            raise ValueError(f"ask_below is {self.ask_below}; expected a probability")

    def to_json(self) -> dict[str, Any]:
        """For the record's header."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "AgentConfig":
        """From a record's header; what other versions added is left out."""
        known = {item.name for item in dataclasses.fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})


VERIFIED = AgentConfig(verified=True, other_after=6, memory="notes")
"""For a model that was not taught our dialogue in particular: it reads what it is told like any text."""


def taught_settings(model: str) -> AgentConfig:
    """The settings that the model in a folder was taught with; `VERIFIED` where it states none.

    Raises:
        ConfigError: the file that states them cannot be read.
    """
    path = Path(model) / AGENT_FILE
    if not model:
        return AgentConfig()
    if not path.is_file():
        return VERIFIED
    try:
        return AgentConfig.from_json(json.loads(path.read_text("utf-8")))
    except (ValueError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path} cannot be used: {error}") from error


@dataclass(frozen=True, kw_only=True, slots=True)
class EpisodePlan:
    """Which episode to run and where its record goes."""

    out: Path
    """The episode's folder."""
    task: str | None = None
    """Id of a bundled task or an instruction in own words, as the environment's `reset` takes it; None: its own."""
    split: Split | None = None
    """Which names and texts a bundled task draws from; None: as the environment was made."""
    seed: int | None = None
    """Of the task and of the policy's own chances; None: the environment's."""
    model: str = ""
    """Where the model came from, for the record."""
    frames: Path | None = None
    """A folder of frames to share with other episodes; None: the episode's own."""
    sync: bool = True
    """Force every step to the disk, against loss of power too."""
    resume: Literal["no", "continue", "replay"] = "no"
    """Go on with the episode in `out`: from the screen as it is now, or after doing the recorded actions again."""
    rules: Rules = dataclasses.field(default_factory=Rules)
    """What the agent may do, and what it may cost; when resuming, the record's hold."""
    notes: dict[str, Any] = dataclasses.field(default_factory=dict)
    """More to keep in the header's `config`, for example the command's own flags."""
