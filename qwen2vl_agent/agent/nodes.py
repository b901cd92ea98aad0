"""The three things that happen at a step: observe, think, act.

Each is a function from the episode under way and its progress to what changes in the progress. They know no graph: the
graph and the plain loop call the same three, so an episode is the same whichever drives it.
"""

import time
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, NamedTuple, TypedDict

from qwen2vl_agent.agent.guards import LoopGuard, grey_screen
from qwen2vl_agent.agent.policy import Context, Policy
from qwen2vl_agent.agent.settings import AgentConfig
from qwen2vl_agent.agent.watcher import Watcher
from qwen2vl_agent.dialogue.compose import Dialogue, Turn
from qwen2vl_agent.dialogue.tool_call import parse_call
from qwen2vl_agent.schema.actions import Answer, Done
from qwen2vl_agent.schema.errors import ToolCallError
from qwen2vl_agent.schema.messages import ImagePart
from qwen2vl_agent.schema.observation import Observation
from qwen2vl_agent.schema.tools import ToolCall, to_action
from qwen2vl_agent.schema.trajectory import Outcome, Reply, Step, StoredFrame
from qwen2vl_agent.trajectory.record import Recorder


class Progress(TypedDict):
    """How far an episode is. Plain and small: pixels and token ids stay in the record, this names them."""

    index: int
    """Of the step under way."""
    screen: str
    """Hash of the frame now shown."""
    mistakes: int
    """Replies in a row that could not be read or deed."""
    reward: float
    outcome: Outcome | None
    message: str


START: Progress = {"index": 0, "screen": "", "mistakes": 0, "reward": 0.0, "outcome": None, "message": ""}


class Ending(NamedTuple):
    """How an episode ends, and a word about it."""

    outcome: Outcome
    message: str = ""


@dataclass(slots=True)
class Episode:
    """An episode under way: who takes part, what was said so far, and what the step at hand has found."""

    env: Any
    policy: Policy
    recorder: Recorder
    dialogue: Dialogue
    config: AgentConfig
    watcher: Watcher
    max_steps: int
    verdict: bool
    """Whether the environment knows if the task is solved."""
    guard: LoopGuard
    turns: list[Turn] = field(default_factory=list)
    observation: Observation | None = None
    frame: StoredFrame | None = None
    fresh: bool = True
    """Whether the environment has moved on since the last look; after an unreadable reply it has not."""
    reply: Reply | None = None
    policy_s: float = 0.0


@dataclass(slots=True)
class Deed:
    """What became of a call."""

    call: ToolCall | None = None
    action: Any = None
    error: str = ""
    performed: dict[str, Any] | None = None
    reward: float = 0.0
    terminated: bool = False
    truncated: bool = False
    verdict: Ending | None = None
    """The environment's own, where it gives one at the last step."""
    earned: float | None = None
    """The sum of the rewards so far, where the environment counts it; else the last reward stands for the episode."""
    timings: dict[str, float] = field(default_factory=dict)


def observe(episode: Episode, progress: Progress) -> dict[str, Any]:
    """Look at the screen and keep its pixels."""
    seen: Observation = episode.env.observation
    shown = grey_screen(seen.image) if episode.config.blind else seen.image
    episode.frame = episode.recorder.frame(shown)
    screen = sha256(seen.image.tobytes()).hexdigest() if episode.config.blind else episode.frame.sha256
    beside = [text for text in (_news(episode, seen.text), episode.guard.hint(screen)) if text]
    episode.observation = Observation(shown, seen.frame, "\n".join(beside))
    episode.watcher.saw(progress["index"], shown, episode.observation.text)
    return {"screen": screen}


def _news(episode: Episode, text: str) -> str:
    """What the environment tells beside the screen, less what the last step's error says already."""
    if not episode.turns:
        return text
    return text.removeprefix(episode.turns[-1].result_text).strip() if episode.fresh else ""


def think(episode: Episode, progress: Progress) -> dict[str, Any]:
    """Let the policy reply."""
    assert episode.observation is not None
    assert episode.frame is not None
    context = Context(
        dialogue=episode.dialogue,
        actions=tuple(episode.env.tools),
        legal=getattr(episode.env, "legal_tools", None),
        turns=tuple(episode.turns),
        observation=episode.observation,
        frame=episode.frame,
        index=progress["index"],
        env=episode.env,
        on_text=episode.watcher.wrote,
    )
    begun = time.perf_counter()
    episode.reply = episode.policy.reply(context)
    episode.policy_s = time.perf_counter() - begun
    return {}


def act(episode: Episode, progress: Progress) -> dict[str, Any]:
    """Read the call, do it, record the step, and see whether the episode is over."""
    assert episode.reply is not None
    deed = perform(episode, progress, episode.reply.text)
    episode.watcher.did(record(episode, progress["index"], deed))
    return consequence(episode, progress, deed)


def consequence(episode: Episode, progress: Progress, deed: Deed) -> dict[str, Any]:
    """What a step changes in the progress."""
    mistakes, steps = progress["mistakes"] + 1 if deed.error else 0, progress["index"] + 1
    ending = ending_of(episode, deed, mistakes, progress["screen"], steps)
    return {
        "index": steps,
        "mistakes": mistakes,
        "reward": deed.reward if deed.earned is None else deed.earned,
        "outcome": ending.outcome if ending else None,
        "message": ending.message if ending else "",
    }


def perform(episode: Episode, progress: Progress, text: str) -> Deed:
    """What became of the call in a reply. A reply that cannot be read does nothing, and its error is told."""
    call, episode.fresh = None, False
    try:
        call = parse_call(text, episode.dialogue.form).call
        episode.guard.note(progress["screen"], call)
        action = to_action(call, episode.env.tools)
    except ToolCallError as error:
        return Deed(call=call, error=str(error))
    episode.fresh = True
    _, reward, terminated, truncated, info = episode.env.step(action)
    waited_s = max(0.0, info["settle_s"] - info["capture_s"])
    timings = {"perform": info["perform_s"], "settle": waited_s, "capture": info["capture_s"]}
    return Deed(
        call,
        action,
        info["action_error"],
        info["performed"],
        float(reward),
        terminated,
        truncated,
        Ending(info["outcome"], info.get("message", "")) if "outcome" in info else None,
        info.get("return"),
        timings,
    )


def recorded_deed(episode: Episode, step: Step) -> Deed:
    """What became of a call that was done before the episode was interrupted, as its record tells."""
    if step.call is not None and not episode.config.blind:  # grey screens do not tell where it was
        episode.guard.note(step.frame.sha256, step.call)
    if step.call is None or step.error:
        return Deed(step.call, error=step.error, reward=step.reward)
    action = to_action(step.call, episode.env.tools)
    ended = isinstance(action, Done | Answer)
    return Deed(step.call, action, performed=step.performed, reward=step.reward, terminated=ended)


def record(episode: Episode, index: int, deed: Deed) -> Step:
    """The step, written down; from now on it is a turn of the conversation."""
    assert episode.observation is not None
    assert episode.frame is not None
    assert episode.reply is not None
    step = Step(
        index=index,
        frame=episode.frame,
        observation_text=episode.observation.text,
        reply=episode.reply,
        call=deed.call,
        error=deed.error,
        performed=deed.performed,
        reward=deed.reward,
        timings={"policy": episode.policy_s, **deed.timings},
    )
    episode.recorder.append(step)
    episode.turns.append(turn_of(step, episode.recorder.frame_path(step.frame)))
    return step


def turn_of(step: Step, image: Any) -> Turn:
    """A recorded step as the conversation has it; `image` is the frame's pixels or its file."""
    return Turn(
        image=ImagePart(image, step.frame.sha256, (step.frame.width, step.frame.height)),
        observation_text=step.observation_text,
        reply_text=step.reply.text,
        reply_token_ids=step.reply.token_ids or None,
        result_text=step.error,
        target=step.reply.target,
    )


def ending_of(episode: Episode, deed: Deed, mistakes: int, screen: str, steps: int) -> Ending | None:
    """How the episode ends after this step, or None if it goes on."""
    if deed.verdict is not None:
        return deed.verdict
    if deed.terminated:
        return _verdict(episode, deed)
    if mistakes >= episode.config.mistakes_in_a_row:
        return Ending("failure", f"{mistakes} calls in a row could not be done; the last: {deed.error}")
    if episode.guard.stuck(screen):
        return Ending("failure", "the agent went round in circles: the same call again and again on the same screen")
    if steps >= episode.max_steps or (deed.truncated and episode.config.max_steps is None):
        return Ending("failure", f"no end after {steps} steps")
    return None


def _verdict(episode: Episode, deed: Deed) -> Ending:
    said = getattr(deed.action, "message", "")
    if episode.verdict:
        return Ending("success" if deed.reward >= 1.0 else "failure", said)
    if isinstance(deed.action, Done) and deed.action.status == "failure":
        return Ending("failure", said)
    return Ending("unverified", said or getattr(deed.action, "text", ""))
