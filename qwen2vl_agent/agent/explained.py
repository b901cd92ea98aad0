"""Lessons in other words: what a solution does, with a thought by templates or by a teacher model before it.

Whose words they are stands in each reply (`Reply.thought_by`). What a model wrote and deliberate mistakes stay as they
are. The words are recorded like any, stand in the context of all later steps, and are learned as they were recorded.
"""

import dataclasses
from typing import Protocol

from qwen2vl_agent.agent.endpoint_policy import EndpointPolicy, connect
from qwen2vl_agent.agent.policy import Context, Policy
from qwen2vl_agent.agent.scripted import drawn_for, written
from qwen2vl_agent.dialogue.recorded import stored_part
from qwen2vl_agent.dialogue.thoughts import KnownStep, from_template, question, usable
from qwen2vl_agent.dialogue.tool_call import parse_call
from qwen2vl_agent.schema.trajectory import Reply

OWN, TEMPLATES = "own", "templates"
"""Words of `Job.thoughts` beside the address of a teacher."""


class ThoughtWriter(Protocol):
    """Whoever puts a known step in words."""

    name: str
    """As it is recorded."""

    def thought(self, step: KnownStep, context: Context, seed: int | None) -> str:
        """The thought; empty where there is none to be had."""
        ...


class TemplateWriter:
    """Writes by templates, drawn from the episode's seed, its goal and the step's number."""

    name = TEMPLATES

    def thought(self, step: KnownStep, context: Context, seed: int | None) -> str:
        """Never empty."""
        return from_template(step, drawn_for("thought", seed, context, context.index))


class TeacherWriter:
    """Asks a model behind an address, which sees the screen, the past and the call."""

    def __init__(self, teacher: EndpointPolicy) -> None:
        self._teacher = teacher
        self.name = f"teacher {teacher.model_name}"

    def thought(self, step: KnownStep, context: Context, seed: int | None) -> str:
        """What the teacher says, as far as it can be used.

        Raises:
            ConfigError: the server takes no such question.
            EndpointLost: it does not answer.
        """
        image = context.observation.image
        screen = None if image is None else stored_part(image, context.frame)
        return usable(self._teacher.answer(question(step, screen)))


def thought_writer(thoughts: str) -> ThoughtWriter:
    """`templates`, or the teacher at an address.

    Raises:
        ConfigError: there is no model at the address.
        EndpointLost: its server does not answer.
    """
    return TemplateWriter() if thoughts == TEMPLATES else TeacherWriter(connect(thoughts))


class Explained:
    """A policy whose lessons a writer puts in words."""

    def __init__(self, policy: Policy, writer: ThoughtWriter) -> None:
        self.name = policy.name
        self._policy, self._writer = policy, writer
        self._seed: int | None = None

    def begin(self, seed: int | None) -> None:
        """Take the seed."""
        self._seed = seed
        self._policy.begin(seed)

    def reply(self, context: Context) -> Reply:
        """The policy's call; the writer's thought where the call is a lesson that no model wrote."""
        reply = self._policy.reply(context)
        if reply.token_ids or not reply.target:
            return reply
        form = context.dialogue.form
        said = parse_call(reply.text, form)
        goal, turns = context.dialogue.goal, context.turns
        step = KnownStep(goal=goal, turns=turns, form=form, own=said.thought, call=said.call)
        thought = self._writer.thought(step, context, self._seed)
        if not thought:
            return reply
        told = written(thought, said.call, form)
        assert parse_call(told.text, form).call == said.call, "marks in a thought are made harmless"
        return dataclasses.replace(told, thought_by=self._writer.name)
