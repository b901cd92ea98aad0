"""What happens at a step: observe, think, decide, act; between deciding and acting a person may be consulted.

Each is a function from the episode under way and its progress to what changes in the progress. They know no graph: the
graph and the plain loop call the same ones, so an episode is the same whichever drives it. Consulting a person is
`agent/consult.py`; it is a node of its own because the graph enters it again when the answer is there.
"""

import time
from collections.abc import Callable
from hashlib import sha256
from typing import Any, Literal

from PIL import Image

from qwen2vl_agent.agent.deeds import looked_at, perform, understand
from qwen2vl_agent.agent.effects import aftermath, screen_events
from qwen2vl_agent.agent.guards import grey_screen, screen_key
from qwen2vl_agent.agent.person import STOPPED, Question
from qwen2vl_agent.agent.policy import Context
from qwen2vl_agent.agent.rules import over_budget
from qwen2vl_agent.agent.state import NEXT, Deed, Ending, Episode, Intention, Node, Progress
from qwen2vl_agent.dialogue.compose import Turn
from qwen2vl_agent.dialogue.recorded import recorded_clip, stored_part
from qwen2vl_agent.schema.actions import AskUser, Done
from qwen2vl_agent.schema.observation import Observation
from qwen2vl_agent.schema.trajectory import Step, StoredClip, StoredFrame


def after(node: str, progress: Progress) -> Node:
    """Where it goes on after a node."""
    if progress["outcome"] is not None:
        return "end"
    if node in ("decide", "consult"):
        return "consult" if progress["question"] else progress["then"]
    return NEXT[node]


def observe(episode: Episode, progress: Progress) -> dict[str, Any]:
    """Look at the screen and keep its pixels."""
    seen: Observation = episode.env.observation
    shown = grey_screen(seen.image) if episode.config.blind else seen.image
    episode.frame, episode.clip = episode.recorder.frame(shown), _kept_clip(episode, seen)
    episode.app = app_in_front(episode.env)
    screen = _key(episode, seen)
    steps = episode.recorder.trajectory.steps[: progress["index"]]
    events = screen_events(episode.env, seen, steps, episode.config.verified)
    told = aftermath(steps[-1], episode.config.verified) if steps else ""
    beside = (_news(episode, seen.text), told, events.text, episode.guard.hint(screen))
    clip = recorded_clip(episode.clip, episode.recorder.frame_path)
    episode.observation = Observation(shown, seen.frame, "\n".join(filter(None, beside)), clip, seen.numbers)
    episode.watcher.saw(progress["index"], shown, episode.observation.text)
    noticed = [*events.events, *(["loop"] if episode.guard.hint(screen) else [])]
    return {"screen": screen, "events": noticed}


def _kept_clip(episode: Episode, seen: Observation) -> StoredClip | None:
    """The frames of the observation's video, kept as the model is to see them."""
    if seen.clip is None:
        return None
    shown = [grey_screen(frame) if episode.config.blind else frame for frame in seen.clip.frames]
    frames = tuple(episode.recorder.frame(frame) for frame in shown)
    return StoredClip(frames, seen.clip.taken_s, seen.clip.fps, seen.clip.alone, seen.clip.dropped)


def app_in_front(env: Any) -> str:
    """Package of the app in front; empty where the device has none."""
    read = getattr(getattr(env, "device", None), "foreground", None)
    return str(read()[0]) if read else ""


def _key(episode: Episode, seen: Observation) -> str:
    """What makes a screen the same screen: its pixels, or with `verified` what can be seen of it."""
    if episode.config.verified:
        return screen_key(seen.image)
    assert episode.frame is not None
    return sha256(seen.image.tobytes()).hexdigest() if episode.config.blind else episode.frame.sha256


def recorded_key(episode: Episode, step: Step) -> str:
    """The same of a recorded step."""
    if not episode.config.verified:
        return step.frame.sha256
    with Image.open(episode.recorder.frame_path(step.frame)) as image:
        return screen_key(image.convert("RGB"))


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
        on_text=_listener(episode),
        avoid=episode.guard.worn_out(progress["screen"]),
    )
    begun = time.perf_counter()
    episode.reply = episode.policy.reply(context)
    episode.policy_s = time.perf_counter() - begun
    return {}


def _listener(episode: Episode) -> Callable[[str], None]:
    def wrote(piece: str) -> None:
        if episode.person.stopping():
            raise KeyboardInterrupt
        episode.watcher.wrote(piece)

    return wrote


def decide(episode: Episode, progress: Progress) -> dict[str, Any]:
    """See whether the call in the reply may be done; nothing has reached the device yet, and nothing does here."""
    assert episode.reply is not None
    going_on = {"question": None, "refusal": "", "answer": None, "then": "act"}
    wanted = episode.person.request()
    if wanted == "stop":
        return {**going_on, "outcome": "stopped", "message": STOPPED}
    found = understand(episode, episode.reply.text)
    if wanted is not None:
        kind: Any = "paused" if wanted == "pause" else wanted
        return {**going_on, "question": Question(kind, progress["index"], found.call).to_json(), "then": "decide"}
    if found.action is None:
        return going_on
    return going_on | _judged(episode, progress, found)


def _judged(episode: Episode, progress: Progress, found: Intention) -> dict[str, Any]:
    """What the rules, the model's confidence and the call itself ask for."""
    assert found.call is not None
    assert episode.reply is not None
    somebody, confidence = episode.person.present, episode.reply.confidence
    said = episode.judge.judge(found.call, found.action, somebody)
    if said.way == "deny":
        return {"refusal": not_allowed(said.reason)}
    question = None
    if said.way == "ask":
        question = Question("approve", progress["index"], found.call, said.reason, confidence)
    elif isinstance(found.action, AskUser) and somebody:
        question = Question("answer", progress["index"], found.call, found.action.question)
    elif somebody and confidence is not None and confidence < episode.config.ask_below:
        question = Question("unsure", progress["index"], found.call, confidence=confidence)
    return {"question": question.to_json() if question else None}


def not_allowed(reason: str) -> str:
    """What the model is told of a call that is not done."""
    return f"this call is not allowed{f': {reason}' if reason else ''}; nothing was done"


def act(episode: Episode, progress: Progress) -> dict[str, Any]:
    """Do the call, record the step, and see whether the episode is over."""
    assert episode.reply is not None
    deed = looked_at(episode, perform(episode, progress, episode.reply.text))
    episode.watcher.did(record(episode, progress, deed))
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
        "question": None,
        "refusal": "",
        "answer": None,
        "then": "observe",
    }


def record(episode: Episode, progress: Progress, deed: Deed, by: Literal["policy", "person"] = "policy") -> Step:
    """The step, written down; from now on it is a turn of the conversation."""
    assert episode.observation is not None
    assert episode.frame is not None
    assert episode.reply is not None
    step = Step(
        index=progress["index"],
        frame=episode.frame,
        observation_text=episode.observation.text,
        reply=episode.reply,
        call=deed.call,
        error=deed.error,
        performed=deed.performed,
        reward=deed.reward,
        timings={"policy": episode.policy_s, **deed.timings},
        by=by,
        events=tuple(dict.fromkeys((*progress["events"], *deed.events))),
        app=episode.app,
        effect=deed.effect,
        clip=episode.clip,
        numbers=episode.observation.numbers,
    )
    episode.recorder.append(step)
    episode.turns.append(turn_of(step, episode.recorder.frame_path))
    return step


def turn_of(step: Step, image_of: Callable[[StoredFrame], Any]) -> Turn:
    """A recorded step as the conversation has it; `image_of` gives a frame's pixels or its file."""
    return Turn(
        image=stored_part(image_of(step.frame), step.frame),
        clip=recorded_clip(step.clip, image_of),
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
    if spent := _spent(episode, steps):
        return Ending("failure", f"{spent} after {steps} steps")
    if steps >= episode.max_steps or (deed.truncated and episode.config.max_steps is None):
        return Ending("failure", f"no end after {steps} steps")
    return None


def _spent(episode: Episode, steps: int) -> str:
    """Which limit of the budget the steps so far have reached."""
    done = episode.recorder.trajectory.steps[:steps]
    seconds = sum(sum(step.timings.values()) for step in done)
    tokens = sum(step.reply.tokens.get(kind, 0) for step in done for kind in ("read", "written"))
    return over_budget(episode.judge.rules.budget, steps, seconds, tokens)


def _verdict(episode: Episode, deed: Deed) -> Ending:
    said = getattr(deed.action, "message", "")
    if episode.verdict:
        return Ending("success" if deed.reward >= 1.0 else "failure", said)
    if isinstance(deed.action, Done) and deed.action.status == "failure":
        return Ending("failure", said)
    return Ending("unverified", said or getattr(deed.action, "text", ""))
