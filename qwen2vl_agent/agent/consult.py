"""Consulting the person: one question, one answer, and what follows from it."""

import dataclasses
from typing import Any

from qwen2vl_agent.agent import deeds, nodes
from qwen2vl_agent.agent.effects import unchanged
from qwen2vl_agent.agent.person import STOPPED, Answer, Question
from qwen2vl_agent.agent.scripted import written
from qwen2vl_agent.agent.state import Deed, Episode, Progress
from qwen2vl_agent.envs.settling import agree
from qwen2vl_agent.schema.actions import PressKey, Wait
from qwen2vl_agent.schema.errors import ActionRejected, ToolCallError
from qwen2vl_agent.schema.tools import ToolCall, to_action, to_call
from qwen2vl_agent.schema.trajectory import Reply

STALE = "the screen changed while the person was asked; nothing was done. Look at it again"
BY_HAND = "The user takes over and acts on the device."


def consult(episode: Episode, progress: Progress) -> dict[str, Any]:
    """Put the question that waits to the person, and do what they say.

    Nothing happens before the answer is there: the graph leaves this node to ask and enters it again with the answer.
    """
    assert progress["question"] is not None
    question = Question.from_json(progress["question"])
    answer = (episode.ask or episode.person.answer)(question)
    match answer.do:
        case "stop":
            return {"question": None, "outcome": "stopped", "message": STOPPED}
        case "take_over":
            return _handed_over(episode, progress)
        case "act":
            return _act(episode, progress, answer)
        case "hand_back":
            return _handed_back(episode, progress, answer)
        case "deny":
            said = f"the user does not want it{f': {answer.text}' if answer.text else ''}"
            return {"question": None, "refusal": nodes.not_allowed(said), "then": "act"}
    stale = _if_stale(episode, progress)
    if answer.do == "reply":
        return {"question": None, "answer": answer.text, "then": "act"}
    going_on = {"question": None, **stale}
    if answer.do == "approve":
        return {**going_on, "events": [*going_on.get("events", progress["events"]), "approved"], "then": "act"}
    return {**going_on, "then": "act" if stale else "decide"}  # after a pause the rules are yet to be asked


def _if_stale(episode: Episode, progress: Progress) -> dict[str, Any]:
    """A refusal where the screen is no longer the one that the model and the person saw; a cursor may blink."""
    before = episode.env.observation.image
    _look_again(episode)
    if agree(before, episode.env.observation.image):
        return {}
    return {"refusal": STALE, "events": [*progress["events"], "stale"]}


def _look_again(episode: Episode) -> bool:
    """Look at the device, as somebody else may have touched it; whether anything changed."""
    look = getattr(episode.env, "look_again", None)
    if look is None:
        return False
    before, now = episode.env.observation.image, look().image
    return not unchanged(before, now, PressKey(name="back"))  # any action whose effect should be seen


def _handed_over(episode: Episode, progress: Progress) -> dict[str, Any]:
    """The person has the device: what the model wanted to do is dropped."""
    _look_again(episode)
    seen = nodes.observe(episode, progress)
    return {**seen, "question": Question("take_over", progress["index"]).to_json(), "refusal": ""}


def _act(episode: Episode, progress: Progress, answer: Answer) -> dict[str, Any]:
    """Do what the person wants done, and record it as theirs: a correction to learn from."""
    assert answer.call is not None
    if _look_again(episode):
        progress = {**progress, **nodes.observe(episode, progress)}  # type: ignore[typeddict-item]
    try:
        action = to_action(answer.call, episode.env.tools)
        deed = deeds.do(episode, answer.call, action)
    except (ToolCallError, ActionRejected) as error:
        return {"question": Question("take_over", progress["index"], text=str(error)).to_json()}
    return _recorded(episode, progress, deed, written("", answer.call, episode.dialogue.form))


def _recorded(episode: Episode, progress: Progress, deed: Deed, reply: Reply) -> dict[str, Any]:
    """A step of the person's, after which they still have the device unless the episode is over."""
    episode.reply, episode.policy_s = reply, 0.0
    step = nodes.record(episode, progress, deed, by="person")
    episode.watcher.did(step)
    changed = nodes.consequence(episode, progress, deed)
    if changed["outcome"] is None:
        seen = nodes.observe(episode, {**progress, **changed})  # type: ignore[typeddict-item]
        changed |= {**seen, "question": Question("take_over", changed["index"]).to_json()}
    return changed


def _handed_back(episode: Episode, progress: Progress, answer: Answer) -> dict[str, Any]:
    """The agent has the device again. What was done by hand is recorded as a wait, which no model learns from."""
    going_on = {"question": None, "refusal": "", "answer": None, "then": "observe"}
    if not (_look_again(episode) or answer.by_hand):
        return going_on
    call: ToolCall = to_call(Wait())
    reply = dataclasses.replace(written(BY_HAND, call, episode.dialogue.form), target=False)
    episode.fresh = True
    deed = Deed(call, Wait(), performed={"action": "by_hand", **_kept_state(episode)}, events=("by_hand",))
    return {**_recorded(episode, progress, deed, reply), **going_on}


def _kept_state(episode: Episode) -> dict[str, Any]:
    """The state of a virtual phone after it was touched by hand, so that the episode can be led there again."""
    device = getattr(episode.env, "device", None)
    if not getattr(device, "virtual", False) or getattr(device, "holds_secrets", False):
        return {}
    assert device is not None
    return {"state": device.phone_state().to_json()}
