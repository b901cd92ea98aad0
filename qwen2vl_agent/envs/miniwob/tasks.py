"""The tasks of MiniWoB++: set up, scored and ended by the pages themselves."""

import difflib
from dataclasses import dataclass, replace
from typing import Any

from qwen2vl_agent.envs.miniwob.pages import PREFIX, Protocol, page_names, protocol, task_id
from qwen2vl_agent.envs.tasks.task import Decision
from qwen2vl_agent.schema.actions import Done
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.schema.trajectory import Split

WITH_HELD_OUT_WORDS = frozenset(
    {
        "click-checkboxes-transfer",
        "click-test-transfer",
        "email-inbox-forward-nl",
        "email-inbox-forward-nl-turk",
        "email-inbox-nl-turk",
    }
)
"""Pages that have a training and a test set of their own. Source: the uses of WOB_DATA_MODE in the package's pages."""
MODES = {"train": "train", "test": "test", "invented": "default"}
"""The page's data mode for each split."""


@dataclass(frozen=True, slots=True)
class WobTask:
    """One instruction on one page."""

    id: str
    page: str
    seed: int
    goal: str
    unseen: bool
    max_steps: int


class MiniWoBTasks:
    """The 125 pages as bundled tasks of a `MiniWoBDevice`."""

    app_names: tuple[str, ...] = ()

    def __init__(self, device: Any, protocol_name: str = "all", tell: bool = False) -> None:
        """Score and limit the steps as the protocol says; with `tell`, solutions say first what they see."""
        self._tell = tell
        self._device = device
        self._protocol: Protocol = protocol(protocol_name)

    def begin(self, name: str, split: Split, seed: int, fresh: bool) -> WobTask:
        """See `TaskSet`; without a name, a page drawn by the seed.

        Raises:
            ConfigError: there is no such page, or `name` is an instruction in own words.
        """
        page = page_of(name) if name else self._protocol.pages[seed % len(self._protocol.pages)]
        goal = self._device.begin(page, seed, MODES[split])
        unseen = split == "test" and page in WITH_HELD_OUT_WORDS
        return WobTask(task_id(page), page, seed, goal, unseen, self._protocol.steps(page))

    def score(self, task: WobTask, answer: str | None) -> float:
        """1 where the page has ended and gave more than the protocol asks for, else 0."""
        return float(self._device.over and self._device.raw_reward > self._protocol.above)

    def over(self, task: WobTask) -> bool:
        """Whether the page has ended the episode."""
        return bool(self._device.over)

    def oracle(self, task: WobTask) -> Decision:
        """The solution's next action, by what stands on the page; it gives up where it cannot read the page.

        Raises:
            ConfigError: this page has no solution.
        """
        from qwen2vl_agent.envs.miniwob.oracles import ORACLES
        from qwen2vl_agent.envs.miniwob.telling import what_is_seen
        from qwen2vl_agent.envs.miniwob.view import View

        if task.page not in ORACLES:
            raise ConfigError(f"{task.id} has no bundled solution")
        view = View(self._device, task.goal)
        try:
            decision = ORACLES[task.page](view)
            seen = what_is_seen(view) if self._tell else ""
            return replace(decision, thought=f"{seen} {decision.thought}".lstrip())
        except (LookupError, ValueError, StopIteration):  # another has led the page to where no solution passes
            return Decision("It is not known how to go on from here.", Done(status="failure"))


def page_of(name: str) -> str:
    """The page of a task's id; the page's own name does too.

    Raises:
        ConfigError: there is none.
    """
    page = name.removeprefix(PREFIX)
    if page not in page_names():
        near = difflib.get_close_matches(page, page_names(), 3)
        hint = f"did you mean {', '.join(map(task_id, near))}?" if near else "`qwen2vl-agent tasks miniwob` lists them"
        raise ConfigError(f"MiniWoB++ has no task {name!r}; {hint}")
    return page
