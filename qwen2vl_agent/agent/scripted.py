"""Policies without a model. They answer in text, through the same parser as a model.

Each draws its chances from the episode's seed, its goal and the step's number alone, so that an interrupted episode
goes on as it would have gone.
"""

import dataclasses
import random
from typing import Any

from qwen2vl_agent.agent.policy import Context, Policy
from qwen2vl_agent.dialogue.tool_call import cut_at_stop, parse_call, render_call
from qwen2vl_agent.schema.actions import Answer, AskUser, Done, PressKey, Swipe, Tap, Wait
from qwen2vl_agent.schema.geometry import MODEL_FRAME, Frame, Point
from qwen2vl_agent.schema.observation import Element
from qwen2vl_agent.schema.tools import ToolCall, to_call
from qwen2vl_agent.schema.trajectory import CallForm, Reply

ENDING_CHANCE = 0.03
"""How often the random policy ends an episode, per step; evenly drawn, it would end after a handful."""
BESIDE = 0.6
"""Share of the mistakes that touch a neighbour of what should be touched: what a model with weak eyes does most."""
MOST_MISTAKES = 4
"""Deliberate mistakes per episode, so that recovering from them fits into the task's steps."""


class OraclePolicy:
    """Says what the environment's own solution would do next."""

    name = "oracle"

    def begin(self, seed: int | None) -> None:
        """Nothing to forget: the solution looks at the screen alone."""

    def reply(self, context: Context) -> Reply:
        """The solution's thought and call."""
        decision = context.env.oracle()
        return say(decision.thought, decision.action, context)


class NoOpPolicy:
    """Waits, or does what an environment without waiting calls doing nothing."""

    name = "noop"

    def begin(self, seed: int | None) -> None:
        """Nothing to forget."""

    def reply(self, context: Context) -> Reply:
        """A wait."""
        return say("Wait.", Wait() if Wait in context.actions else context.env.noop(), context)


class RandomPolicy:
    """Does anything valid."""

    name = "random"

    def begin(self, seed: int | None) -> None:
        """Take the seed."""
        self._seed = seed

    def reply(self, context: Context) -> Reply:
        """An action evenly drawn from those offered; endings are rarer."""
        chance = drawn_for("random", self._seed, context, context.index)
        endings = [kind for kind in context.actions if kind in (Answer, Done)]
        others = [kind for kind in context.actions if kind not in (Answer, Done, AskUser)]
        wanted = tuple(endings if endings and chance.random() < ENDING_CHANCE else others)
        return say("Try something.", anything(context, chance, wanted), context)


class NoisyPolicy:
    """Another policy that now and then makes a mistake first, so that recovering from it is shown.

    A mistake's reply is marked as no target: it stands in the context and is never learned.
    """

    def __init__(self, policy: Policy, noise: float) -> None:
        self._policy = policy
        self._noise = noise
        self.name = policy.name

    def begin(self, seed: int | None) -> None:
        """Take the seed."""
        self._seed = seed
        self._policy.begin(seed)

    def reply(self, context: Context) -> Reply:
        """A mistake, with the probability given; else the other policy's reply."""
        if not self._mistake_now(context):
            return self._policy.reply(context)
        chance = drawn_for("mistake", self._seed, context, context.index)
        beside = misplaced(self._policy.reply(context), context, chance) if chance.random() < BESIDE else None
        reply = beside or say("Try something.", wrong_action(context, chance), context)
        return dataclasses.replace(reply, target=False)

    def _mistake_now(self, context: Context) -> bool:
        chance = drawn_for("places", self._seed, context)
        places = [place for place in range(context.index + 1) if chance.random() < self._noise]
        return context.index in places[:MOST_MISTAKES]


def drawn_for(purpose: str, seed: int | None, context: Context, index: int = 0) -> random.Random:
    """Chances of an episode or of one of its steps; the goal enters, lest all tasks of a seed share their luck."""
    return random.Random(f"{purpose} {seed} {context.dialogue.goal} {index}")


def say(thought: str, action: Any, context: Context) -> Reply:
    """The reply that asks for `action`, without the keyword at which a model stops."""
    return written(thought, to_call(action), context.dialogue.form)


def written(thought: str, call: ToolCall, form: CallForm) -> Reply:
    """A reply that no model wrote, without the keyword at which one stops."""
    return Reply(cut_at_stop(render_call(thought, call, form), form))


def anything(context: Context, chance: random.Random, wanted: tuple[type, ...] = (object,)) -> Any:
    """An action of the kinds wanted, evenly drawn."""
    space = context.env.action_space
    space.seed(chance.randrange(2**31))
    action = space.sample()
    while not isinstance(action, wanted):
        action = space.sample()
    return action


def misplaced(reply: Reply, context: Context, chance: random.Random) -> Reply | None:
    """The reply, but its touch meets another element of the same kind; None where it touches none that has others."""
    parsed = parse_call(reply.text, context.dialogue.form)
    point = parsed.call.arguments.get("point")
    if point is None or not hasattr(context.env, "device"):
        return None
    frame = context.env.device.frame
    elements = {_middle(seen, frame): seen for seen in context.env.device.elements() if seen.clickable}
    at = next((place for place in elements if to_call(Tap(point=place)).arguments["point"] == point), None)
    others = [place for place, seen in elements.items() if at and place != at and _alike(seen, elements[at])]
    return say(parsed.thought, Tap(point=chance.choice(others)), context) if others else None


def _middle(element: Element, frame: Frame) -> Point:
    x, y = element.centre
    return Point(x, y, frame)


def _alike(one: Element, other: Element) -> bool:
    return one.role == other.role and one.bounds[2] - one.bounds[0] == other.bounds[2] - other.bounds[0]


def wrong_action(context: Context, chance: random.Random) -> Any:
    """Something that a model might do by mistake: a tap on another element, a scroll, a step back.

    Where there is no screen to touch, any action.
    """
    if not hasattr(context.env, "device"):
        return anything(context, chance)
    elements = [element for element in context.env.device.elements() if element.clickable]
    kind = chance.random()
    if kind < 0.7 and elements:
        x, y = chance.choice(elements).centre
        return Tap(point=Point(x, y, context.env.device.frame))
    if kind < 0.85:
        x, start, end = chance.randrange(200, 800), *chance.sample((250, 450, 600, 800), 2)
        return Swipe(start=Point(x, start, MODEL_FRAME), end=Point(x, end, MODEL_FRAME))
    return PressKey(name="back") if kind < 0.95 else PressKey(name="home")
