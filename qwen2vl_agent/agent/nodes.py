"""What happens at a step: observe, think, decide, act; between deciding and acting a person may be consulted.

Each is a function from the episode under way and its progress to what changes in the progress. They know no graph: the
graph and the plain loop call the same ones, so an episode is the same whichever drives it. Consulting a person is
`agent/consult.py`; it is a node of its own because the graph enters it again when the answer is there.
"""

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal, NamedTuple, TypedDict

from PIL import Image

from qwen2vl_agent.agent.effects import aftermath, focused_field, screen_events, typed, unchanged
from qwen2vl_agent.agent.guards import LoopGuard, grey_screen, screen_key
from qwen2vl_agent.agent.person import STOPPED, Answer, Nobody, Person, Question
from qwen2vl_agent.agent.policy import Context, Policy
from qwen2vl_agent.agent.rules import Judge, Rules, over_budget
from qwen2vl_agent.agent.second_look import LooksTwice, look_twice, said_of, worth_a_look
from qwen2vl_agent.agent.settings import AgentConfig
from qwen2vl_agent.agent.watcher import Watcher
from qwen2vl_agent.dialogue.compose import Dialogue, Turn
from qwen2vl_agent.dialogue.tool_call import parse_call
from qwen2vl_agent.schema.actions import Answer as AnswerAction
from qwen2vl_agent.schema.actions import AskUser, Done, TypeText
from qwen2vl_agent.schema.errors import ToolCallError
from qwen2vl_agent.schema.messages import ImagePart
from qwen2vl_agent.schema.observation import Element, Observation
from qwen2vl_agent.schema.tools import ToolCall, to_action
from qwen2vl_agent.schema.trajectory import Outcome, Reply, Step, StepEvent, StoredFrame
from qwen2vl_agent.trajectory.record import Recorder

Node = Literal["observe", "think", "decide", "consult", "act", "end"]


class Progress(TypedDict):
    """How far an episode is. Plain and small: pixels and token ids stay in the record, this names them."""

    index: int
    """Of the step under way."""
    screen: str
    """Hash of the frame now shown, by which loops are told."""
    mistakes: int
    """Replies in a row that could not be read or deed."""
    reward: float
    outcome: Outcome | None
    message: str
    question: dict[str, Any] | None
    """What a person is being asked; see `agent/person.py`."""
    refusal: str
    """Why the call at hand is not done; empty where it may be."""
    answer: str | None
    """What the person answered to the call at hand, an `ask_user`."""
    events: list[StepEvent]
    """What was noticed of the step under way before it was acted."""
    then: Node
    """Where it goes on after deciding and consulting."""


START: Progress = {
    "index": 0,
    "screen": "",
    "mistakes": 0,
    "reward": 0.0,
    "outcome": None,
    "message": "",
    "question": None,
    "refusal": "",
    "answer": None,
    "events": [],
    "then": "observe",
}
NEXT: dict[str, Node] = {"observe": "think", "think": "decide", "act": "observe"}


def after(node: str, progress: Progress) -> Node:
    """Where it goes on after a node."""
    if progress["outcome"] is not None:
        return "end"
    if node in ("decide", "consult"):
        return "consult" if progress["question"] else progress["then"]
    return NEXT[node]


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
    judge: Judge = field(default_factory=lambda: Judge(Rules()))
    person: Person = field(default_factory=Nobody)
    ask: Callable[[Question], Answer] | None = None
    """How the person is asked where that is not `person.answer`: the graph interrupts itself."""
    turns: list[Turn] = field(default_factory=list)
    observation: Observation | None = None
    frame: StoredFrame | None = None
    app: str = ""
    """Package of the app that shows the observation."""
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
    events: tuple[StepEvent, ...] = ()
    effect: float | None = None
    """What a second look found."""


@dataclass(frozen=True, slots=True)
class Intention:
    """What a reply asks for."""

    call: ToolCall | None = None
    action: Any = None
    error: str = ""
    """Why it cannot be read, or is not valid; there is no action then."""


def observe(episode: Episode, progress: Progress) -> dict[str, Any]:
    """Look at the screen and keep its pixels."""
    seen: Observation = episode.env.observation
    shown = grey_screen(seen.image) if episode.config.blind else seen.image
    episode.frame = episode.recorder.frame(shown)
    episode.app = app_in_front(episode.env)
    screen = _key(episode, seen)
    steps = episode.recorder.trajectory.steps[: progress["index"]]
    events = screen_events(episode.env, seen, steps, episode.config.verified)
    told = aftermath(steps[-1], episode.config.verified) if steps else ""
    beside = (_news(episode, seen.text), told, events.text, episode.guard.hint(screen))
    episode.observation = Observation(shown, seen.frame, "\n".join(filter(None, beside)))
    episode.watcher.saw(progress["index"], shown, episode.observation.text)
    noticed = [*events.events, *(["loop"] if episode.guard.hint(screen) else [])]
    return {"screen": screen, "events": noticed}


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
    deed = _looked_at(episode, perform(episode, progress, episode.reply.text))
    episode.watcher.did(record(episode, progress, deed))
    return consequence(episode, progress, deed)


def _looked_at(episode: Episode, deed: Deed) -> Deed:
    """The deed with what a second look found of its effect, where one is wanted and the episode goes on."""
    config, policy = episode.config, episode.policy
    if not config.second_look or config.blind or not isinstance(policy, LooksTwice):
        return deed
    if deed.performed is None or deed.call is None or deed.terminated or not worth_a_look(deed.action, deed.events):
        return deed
    assert episode.observation is not None
    assert episode.frame is not None
    assert episode.reply is not None
    now = episode.env.observation.image
    before, after = _part(episode.observation.image, episode.frame), _part(now, episode.recorder.frame(now))
    said = said_of(episode.reply.text, deed.call, episode.dialogue)
    found = look_twice(policy, episode.dialogue, said, before, after)
    events: tuple[StepEvent, ...] = ("doubted",) if found.doubted else ()
    timings = {**deed.timings, "second_look": found.seconds}
    return dataclasses.replace(deed, events=(*deed.events, *events), effect=found.effect, timings=timings)


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


def understand(episode: Episode, text: str) -> Intention:
    """The call in a reply, and the action that it asks for."""
    call = None
    try:
        call = parse_call(text, episode.dialogue.form).call
        return Intention(call, to_action(call, episode.env.tools))
    except ToolCallError as error:
        return Intention(call, error=str(error))


def perform(episode: Episode, progress: Progress, text: str) -> Deed:
    """What became of the call in a reply. One that cannot be read or may not be done does nothing, and says why."""
    found, episode.fresh = understand(episode, text), False
    if found.call is not None:
        episode.guard.note(progress["screen"], found.call)
    if found.call is None or found.action is None:
        return Deed(call=found.call, error=found.error)
    if progress["refusal"]:
        event: StepEvent = "stale" if "stale" in progress["events"] else "denied"
        return Deed(found.call, found.action, progress["refusal"], events=(event,))
    if progress["answer"] is not None:
        performed = {"action": found.call.name, "answer": progress["answer"]}
        return Deed(found.call, found.action, performed=performed, reward=progress["reward"], events=("answered",))
    place = episode.judge.judge(found.call, found.action, True).rule
    deed = do(episode, found.call, found.action)
    episode.judge.note(found.call, place)
    return deed


def do(episode: Episode, call: ToolCall, action: Any) -> Deed:
    """Have the environment do an action, and look at what it changed."""
    env, before = episode.env, episode.env.observation
    reads = episode.config.verified and isinstance(action, TypeText)
    field_before = focused_field(env) if reads else None
    episode.fresh = True
    deed = _done(env, call, action)
    if deed.error or deed.performed is None:
        return deed
    if unchanged(before.image, env.observation.image, action):
        deed.events = ("unchanged",)
    return _typed_again(env, deed, field_before) if field_before is not None and not deed.terminated else deed


def _done(env: Any, call: ToolCall, action: Any) -> Deed:
    _, reward, terminated, truncated, info = env.step(action)
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


def _typed_again(env: Any, deed: Deed, before: Element) -> Deed:
    """Read back what was typed; a text that was lost is typed once more, and what is wrong then is told."""
    found = typed(deed.action, before, focused_field(env))
    if found.arrived:
        return deed
    events: tuple[StepEvent, ...] = ()
    if found.again is not None:
        again = _done(env, deed.call or ToolCall("type_text"), found.again)
        if again.error:
            return again
        timings = {part: seconds + again.timings[part] for part, seconds in deed.timings.items()}
        performed = {**(deed.performed or {}), "again": again.performed}
        deed = dataclasses.replace(again, action=deed.action, performed=performed, timings=timings)
        events, found = ("retyped",), typed(deed.action, before, focused_field(env))
    if not found.arrived:
        events, deed.performed = (*events, "mistyped"), {**(deed.performed or {}), "field": found.field}
    deed.events = events
    return deed


def recorded_deed(episode: Episode, progress: Progress, step: Step) -> Deed:
    """What became of a call that was done before the episode was interrupted, as its record tells."""
    if step.by == "policy" and step.call is not None and not episode.config.blind:  # grey does not tell where it was
        episode.guard.note(progress["screen"], step.call)
    if step.call is None or step.error:
        return Deed(step.call, error=step.error, reward=step.reward)
    action = to_action(step.call, episode.env.tools)
    if step.by == "policy" and "answered" not in step.events:
        episode.judge.note(step.call, episode.judge.judge(step.call, action, True).rule)
    ended = isinstance(action, Done | AnswerAction)
    return Deed(step.call, action, performed=step.performed, reward=step.reward, terminated=ended)


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
    )
    episode.recorder.append(step)
    episode.turns.append(turn_of(step, episode.recorder.frame_path(step.frame)))
    return step


def turn_of(step: Step, image: Any) -> Turn:
    """A recorded step as the conversation has it; `image` is the frame's pixels or its file."""
    return Turn(
        image=_part(image, step.frame),
        observation_text=step.observation_text,
        reply_text=step.reply.text,
        reply_token_ids=step.reply.token_ids or None,
        result_text=step.error,
        target=step.reply.target,
    )


def _part(image: Any, frame: StoredFrame) -> ImagePart:
    """A stored frame as a message has it; `image` is its pixels or its file."""
    return ImagePart(image, frame.sha256, (frame.width, frame.height))


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
