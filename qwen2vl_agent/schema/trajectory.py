"""The record of an episode: what the model saw, wrote and did, and what came of it."""

from dataclasses import dataclass, field
from typing import Any, Literal

from qwen2vl_agent.schema.tools import ToolCall

TRAJECTORY_VERSION = 1
"""Grows when an older program could no longer read a record right; new fields with a default do not change it."""
Outcome = Literal["success", "failure", "unverified", "stopped", "error"]
CallForm = Literal["keyword", "tool_call"]
Split = Literal["train", "test", "invented"]
"""Where a phone's words come from: pools of training, pools partly held out, or new words for every phone."""

StepEvent = Literal[
    "black", "secure", "locked", "rotated", "stale", "unchanged", "loop", "retyped", "mistyped",
    "doubted", "approved", "denied", "answered", "by_hand",
]  # fmt: skip
"""Of the screen before the action: `black` (nothing to see), `secure` (an app that forbids capture is in front),
`locked` (the lock screen is), `rotated` (turned since the step before), `stale` (it changed while a person was asked,
so nothing was done). Of the action: `unchanged` (the screen is as before), `loop` (done too often on this screen),
`retyped` (text was lost and typed once more), `mistyped` (the field holds another text), `doubted` (a second look
found that it missed its effect). Of the person: `approved`,
`denied` (by the rules too), `answered`, `by_hand` (they touched the device itself)."""


@dataclass(frozen=True, slots=True)
class StoredFrame:
    """A reference to a frame kept by its content."""

    sha256: str
    """Hash of the stored file's bytes (PNG)."""
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class StoredClip:
    """A `Clip` by its stored frames."""

    frames: tuple[StoredFrame, ...]
    taken_s: tuple[float, ...]
    fps: float
    alone: bool = False
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """What a policy said at one step."""

    text: str
    """Thought and call, without the keyword that ends the model's stretch."""
    token_ids: tuple[int, ...] = ()
    """Every id that the model wrote in this stretch, the ending keyword included; empty where no model wrote."""
    logprobs: tuple[float, ...] = ()
    """Raw log-probability of each id (temperature 1, no mask)."""
    prompt_ids: tuple[int, ...] = ()
    """The whole context that the model continued, image pads included."""
    timings: dict[str, float] = field(default_factory=dict)
    """Seconds by part: `preprocess`, `vit`, `prefill`, `decode`."""
    target: bool = True
    """Whether a model may learn to say this; False for a mistake made on purpose, from which the next steps recover."""
    sampling_logprobs: tuple[float, ...] = ()
    """Log-probability of each id among those it was drawn from; 0 where a grammar forced it."""
    forced: tuple[bool, ...] = ()
    """Which ids a grammar left no choice about."""
    confidence: float | None = None
    """Probability of the call, given the thought and that it is a valid call; None where no call was constrained."""
    tokens: dict[str, int] = field(default_factory=dict)
    """How many of the context were `cached` and `read`, and how many were `written`; empty where no model wrote."""
    passes: int = 0
    """How often the model read its own words; without a grammar and guesses once for each but the last."""
    guessed: int = 0
    """Tokens read ahead because they followed the same words before."""
    guessed_right: int = 0
    thought_by: str = ""
    """Who wrote the thought before a call that somebody else decided: `templates`, or `teacher NAME`; else empty."""


@dataclass(frozen=True, slots=True)
class Step:
    """Observation, reply, call, what was really done, and its consequence."""

    index: int
    frame: StoredFrame
    """The screen that the model saw before it wrote `reply`."""
    observation_text: str
    reply: Reply
    call: ToolCall | None
    """None where the reply could not be parsed."""
    error: str
    """What the model is told of a call that could not be parsed, validated or done; empty otherwise."""
    performed: dict[str, Any] | None
    """What was really sent, in device pixels; None where nothing was."""
    reward: float
    timings: dict[str, float] = field(default_factory=dict)
    """Seconds by part of the loop: `capture`, `policy`, `perform`, `settle`."""
    by: Literal["policy", "person"] = "policy"
    """Whose action it is; a person's is a correction of the policy, made after taking over."""
    events: tuple[StepEvent, ...] = ()
    """What was noticed at this step beside its result."""
    app: str = ""
    """Package of the app in front when the screen was seen; empty where the device has none or does not tell."""
    effect: float | None = None
    """Probability that the model gave the step's having had its effect, at a second look; None where it took none."""
    clip: StoredClip | None = None
    """The video that the model saw with the screen, or in place of it; None where it saw none."""
    numbers: dict[str, list[float]] = field(default_factory=dict)
    """What the environment measured beside the screen, by name, whether the model was told or not."""

    @property
    def frames(self) -> tuple[StoredFrame, ...]:
        """All stored frames that the step names."""
        return (self.frame, *(self.clip.frames if self.clip else ()))


@dataclass(frozen=True, slots=True)
class EpisodeHeader:
    """All that is fixed when an episode begins, and how it ended."""

    task: str
    """Id of a bundled task, or `text` for a task in the user's own words."""
    goal: str
    """The instruction that the model was given."""
    device: str
    """`android`, `virtual-phone`, `desktop`, `browser`, `gym`."""
    policy: str
    seed: int | None
    model: str = ""
    form: CallForm = "keyword"
    tools: tuple[str, ...] = ()
    config: dict[str, Any] = field(default_factory=dict)
    outcome: Outcome | None = None
    """None while the episode runs."""
    reward: float = 0.0
    message: str = ""
    version: int = TRAJECTORY_VERSION


@dataclass(slots=True)
class Trajectory:
    """An episode: its header and its steps."""

    header: EpisodeHeader
    steps: list[Step] = field(default_factory=list)
