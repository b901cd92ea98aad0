"""Doing what a reply asks for: from its words to what the environment did, and a look at what came of it."""

import dataclasses
from typing import Any

from qwen2vl_agent.agent.effects import focused_field, typed, unchanged
from qwen2vl_agent.agent.second_look import LooksTwice, look_twice, said_of, worth_a_look
from qwen2vl_agent.agent.state import Deed, Ending, Episode, Intention, Progress
from qwen2vl_agent.dialogue.recorded import stored_part
from qwen2vl_agent.dialogue.tool_call import parse_call
from qwen2vl_agent.schema.actions import Answer as AnswerAction
from qwen2vl_agent.schema.actions import Done, TypeText
from qwen2vl_agent.schema.errors import ToolCallError
from qwen2vl_agent.schema.observation import Element
from qwen2vl_agent.schema.tools import ToolCall, to_action
from qwen2vl_agent.schema.trajectory import Step, StepEvent


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


def looked_at(episode: Episode, deed: Deed) -> Deed:
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
    before, after = stored_part(episode.observation.image, episode.frame), stored_part(now, episode.recorder.frame(now))
    said = said_of(episode.reply.text, deed.call, episode.dialogue)
    found = look_twice(policy, episode.dialogue, said, before, after)
    events: tuple[StepEvent, ...] = ("doubted",) if found.doubted else ()
    timings = {**deed.timings, "second_look": found.seconds}
    return dataclasses.replace(deed, events=(*deed.events, *events), effect=found.effect, timings=timings)
