"""The policy that does a recorded episode again, as long as it sees what was seen then."""

from collections.abc import Callable
from dataclasses import dataclass, field

from PIL import Image

from qwen2vl_agent.agent.likeness import Likeness, likeness
from qwen2vl_agent.agent.policy import Context, Policy
from qwen2vl_agent.agent.scripted import written
from qwen2vl_agent.schema.actions import Done
from qwen2vl_agent.schema.errors import OperatorError
from qwen2vl_agent.schema.tools import to_call
from qwen2vl_agent.schema.trajectory import Reply, Step, StoredFrame, Trajectory

ENDED = "the record ends here"


class Diverged(OperatorError):
    """The device shows another screen than the record; what the record did there is not done."""


@dataclass(slots=True)
class ReplayPolicy:
    """Says what was said, step by step; at the first screen that is another, it stops or lets another policy go on.

    Steps at which nothing was done (replies that could not be read, calls that were denied) are left out. Each screen
    is compared with the one on which the recorded action was decided.
    """

    trajectory: Trajectory
    load: Callable[[StoredFrame], Image.Image]
    """Gives the pixels of a recorded frame."""
    then: Policy | None = None
    """Who goes on after a divergence; None: nobody."""
    alike: Callable[[Likeness], bool] = Likeness.same
    name: str = "replay"
    found: list[Likeness] = field(default_factory=list)
    """Of each screen that was compared."""
    diverged: str = ""
    """Where and how the screens went apart; empty while they did not."""
    _left: list[Step] = field(default_factory=list)

    def begin(self, seed: int | None) -> None:
        """From the first step."""
        self._left = [step for step in self.trajectory.steps if was_done(step)]
        self.found, self.diverged = [], ""
        if self.then is not None:
            self.then.begin(seed)

    def reply(self, context: Context) -> Reply:
        """The recorded call, or the other policy's reply.

        Raises:
            Diverged: the screen is another one, and nobody is to go on.
        """
        if not self.diverged and self._left:
            step = self._left.pop(0)
            self.diverged = self._difference(step, context)
            if not self.diverged:
                assert step.call is not None
                return written("", step.call, context.dialogue.form)
            if self.then is None:
                raise Diverged(self.diverged)
        if self.then is not None:
            return self.then.reply(context)
        return written("", to_call(Done(status="failure", message=ENDED)), context.dialogue.form)

    def _difference(self, step: Step, context: Context) -> str:
        if "by_hand" in step.events:
            return f"step {step.index} was done by a person's hand on the device and cannot be done again"
        found = likeness(context.observation.image, self.load(step.frame))
        self.found.append(found)
        return "" if self.alike(found) else f"step {step.index} shows another screen than the record: {found}"


def was_done(step: Step) -> bool:
    """Whether a step did anything that can be done again."""
    return step.call is not None and not step.error
