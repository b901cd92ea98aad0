"""The policy that learns from its own mistakes: a model acts, the environment's solution says what was right (DAgger).

Where both do the same, the solution's words are said. Where they differ, chance decides: either the solution is
followed, and so teaches what to do on the screen that the model misjudges; or the model's mistake is done, as context
and never as a target, and what follows shows the way back from where the model really goes. Ross et al., "A Reduction
of Imitation Learning and Structured Prediction to No-Regret Online Learning", 2011.
"""

import dataclasses

from qwen2vl_agent.agent.difference import Said, difference, said_in
from qwen2vl_agent.agent.policy import Context, Policy
from qwen2vl_agent.agent.scripted import OraclePolicy, drawn_for
from qwen2vl_agent.schema.trajectory import Reply

FOLLOWED = 0.5
"""How often the model's mistake is done."""
MOST_FOLLOWED = 4
"""Mistakes done per episode, so that recovering from them fits into the task's steps."""
FINAL = ("answer", "done")
"""Calls that end an episode: nothing could be shown after a wrong one."""


class CorrectedPolicy:
    """A learner's attempt with a teacher beside it."""

    name = "dagger"

    def __init__(self, learner: Policy, teacher: Policy | None = None, followed: float = FOLLOWED) -> None:
        self._learner, self._teacher, self._followed = learner, teacher or OraclePolicy(), followed
        self.begin(None)

    def begin(self, seed: int | None) -> None:
        """Pass the seed on."""
        self._seed = seed
        self._learner.begin(seed)
        self._teacher.begin(seed)

    def reply(self, context: Context) -> Reply:
        """What the teacher says, or a mistake of the learner's that is not to be learned."""
        right = self._teacher.reply(context)
        if sum(not turn.target for turn in context.turns) >= MOST_FOLLOWED:
            return right  # enough went wrong: what is left is the way out
        tried = self._learner.reply(context)
        said = said_in(tried, context.dialogue.form)
        if said.call is None or said.call.name in FINAL or not differs(said, right, context):
            return right
        follows = drawn_for("follow", self._seed, context, context.index).random() < self._followed
        return dataclasses.replace(tried, target=False) if follows else right


def differs(said: Said, right: Reply, context: Context) -> bool:
    """Whether a reply would do something else than the right one; on a screen, touching the same thing is the same."""
    solution = said_in(right, context.dialogue.form)
    device = getattr(context.env, "device", None)
    if device is None:
        return said.call != solution.call
    return bool(difference(said, solution, device.elements(), device.frame))
