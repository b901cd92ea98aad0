"""The thought before a call that is known already: put together from templates, or asked of a teacher. Pure functions.

A bundled solution says in a few words why it calls what it calls. Templates put these words among what an agent would
also think: what is wanted, what went before, what was refused. A teacher sees the screen and the call and says why.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from qwen2vl_agent.dialogue.compose import Turn
from qwen2vl_agent.dialogue.lenient_json import write_json
from qwen2vl_agent.dialogue.tool_call import neutral, parse_call
from qwen2vl_agent.schema.errors import ToolCallError
from qwen2vl_agent.schema.messages import ImagePart, Message, TextPart
from qwen2vl_agent.schema.tools import ToolCall
from qwen2vl_agent.schema.trajectory import CallForm

LONGEST = 400
"""Characters of a thought."""
PAST = 8
"""Steps before that a teacher is told of."""
FIRST = (
    "The task: {goal} {own}",
    "I am to do this: {goal} {own}",
    "What is wanted: {goal} To begin: {own}",
    "{own}",
)
LATER = (
    "{own}",
    "{done} is done. {own}",
    "After {done}: {own}",
    "Step {number}. {own}",
    "Still to do: {goal} {own}",
)
REFUSED = (
    "That was refused. {own}",
    "{done} was not possible, so another way: {own}",
    "{own} What I tried before did not work.",
)
_QUESTION = """
An agent works on this task: {goal}
{past}
On the screen above it will now call {call}
{own}
Write what the agent thinks before this call: one or two sentences, in the first person, saying what on the screen
matters and why this call is the right one. Do not mention that the call was given. Write these sentences alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownStep:
    """A step whose call is known."""

    goal: str
    turns: Sequence[Turn]
    """The steps before."""
    form: CallForm
    """Of the replies in `turns`."""
    own: str
    """What whoever decided says; may be empty."""
    call: ToolCall


def from_template(step: KnownStep, chance: random.Random) -> str:
    """The thought in the words of a template, drawn by `chance`; the decider's own reason is always part of it."""
    own = step.own or f"Next: {step.call.name}."
    if not step.turns:
        return chance.choice(FIRST).format(goal=step.goal, own=own)
    last = step.turns[-1]
    templates = REFUSED if last.result_text else LATER
    values = {"goal": step.goal, "own": own, "number": len(step.turns) + 1, "done": _done(last, step.form)}
    return chance.choice(templates).format(**values)


def question(step: KnownStep, screen: ImagePart | None) -> Message:
    """What a teacher is asked; texts of the episode are data, with the dialogue's marks made harmless."""
    done = [f"- {_said(turn, step.form)}" for turn in step.turns[-PAST:]]
    text = _QUESTION.format(
        goal=step.goal,
        past="What it did before:\n" + "\n".join(done) if done else "It has done nothing yet.",
        call=f"{step.call.name} {write_json(step.call.arguments)}",
        own=f'Whoever knows the solution says: "{step.own}"' if step.own else "",
    )
    return Message("user", (*([screen] if screen else []), TextPart(neutral(text))))


def usable(text: str) -> str:
    """A teacher's answer as a thought: one line without marks, whole sentences up to `LONGEST`; empty if none."""
    said = " ".join(neutral(re.sub(r"(?s)<think>.*?</think>", "", text)).split()).strip("\"' ")
    if len(said) <= LONGEST:
        return said
    ends = [found.end() for found in re.finditer(r"[.!?。！？](?=\s|$)", said[:LONGEST])]
    return said[: ends[-1]] if ends else ""


def _done(turn: Turn, form: CallForm) -> str:
    try:
        return parse_call(turn.reply_text, form).call.name
    except ToolCallError:
        return "The last reply"


def _said(turn: Turn, form: CallForm) -> str:
    try:
        parsed = parse_call(turn.reply_text, form)
    except ToolCallError:
        return "something that could not be read"
    refused = f" (refused: {turn.result_text})" if turn.result_text else ""
    return f"{parsed.thought} {parsed.call.name} {write_json(parsed.call.arguments)}{refused}".strip()
