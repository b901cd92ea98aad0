"""Bundled tasks of a device: what `ScreenEnv` asks when an episode begins, is scored, or wants the solution."""

import difflib
import re
from typing import Any, Protocol, runtime_checkable

from qwen2vl_agent.envs.device import PhoneDevice
from qwen2vl_agent.envs.tasks.task import Decision, Screen, Task
from qwen2vl_agent.envs.virtual_phone.app_list import installed
from qwen2vl_agent.envs.virtual_phone.state import random_state
from qwen2vl_agent.envs.virtual_phone.words import Words
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.schema.trajectory import Split

TASK_ID = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)+")


class BundledTask(Protocol):
    """A task that is set up, scored and solved by the program itself."""

    id: str
    goal: str
    unseen: bool
    """Whether its words are held out of training."""
    max_steps: int


class TaskSet(Protocol):
    """The bundled tasks of one device."""

    app_names: tuple[str, ...]
    """Names that `open_app` may be given; empty where they are not known."""

    def begin(self, name: str, split: Split, seed: int, fresh: bool) -> Any:
        """Set the device up for the task `name`; the `BundledTask`, or None where `name` is free text.

        Args:
            fresh: without a bundled task, begin on new random contents where the device can.

        Raises:
            ConfigError: `name` looks like an id and is none, or this device cannot be set up for it.
        """
        ...

    def score(self, task: Any, answer: str | None) -> float:
        """How far the task is solved now, 0 to 1; `answer` is what the agent answered, None while it has not."""
        ...

    def oracle(self, task: Any) -> Decision:
        """The task's own next action."""
        ...


@runtime_checkable
class EndsByItself(Protocol):
    """Bundled tasks that can end before the agent says so, solved or not."""

    def over(self, task: Any) -> bool:
        """Whether this one has ended."""
        ...


class PhoneTasks:
    """The bundled tasks of a phone. They set up the whole phone, so they run on a virtual one only."""

    def __init__(self, device: PhoneDevice) -> None:
        self._device = device
        self.app_names = _labels(device.phone_state().edition) if device.virtual else ()

    def begin(self, name: str, split: Split, seed: int, fresh: bool) -> Task | None:
        """See `TaskSet`."""
        task = bundled_task(name, seed, split)
        if task is not None:
            if not self._device.virtual:
                raise ConfigError(
                    f"the bundled task {name} sets up the whole phone, so it runs on a virtual one only; give the "
                    "task in your own words, or leave --serial out"
                )
            self._device.load_state(task.initial_state())
            self.app_names = _labels(task.start.edition)
        elif fresh and self._device.virtual:
            edition = self._device.phone_state().edition
            self._device.load_state(random_state(seed, Words.of(split, seed), edition))
            self.app_names = _labels(edition)
        return task

    def score(self, task: Task, answer: str | None) -> float:
        """See `TaskSet`."""
        return float(task.score(self._device.phone_state(), answer))

    def oracle(self, task: Task) -> Decision:
        """See `TaskSet`."""
        device, frame = self._device, self._device.frame
        size = (frame.width, frame.height)
        return task.oracle(Screen(device.elements(), device.phone_state(), size, device.foreground()))


def _labels(edition: str) -> tuple[str, ...]:
    return tuple(app.label for app in installed(edition))


def bundled_task(name: str, seed: int, split: Split) -> Task | None:
    """A phone's bundled task of this id; None where `name` is a task in the user's own words.

    Raises:
        ConfigError: `name` looks like an id, but there is no such task.
    """
    from qwen2vl_agent.envs.tasks import SUITES, make_task, task_ids

    known = [id for suite in SUITES for id in task_ids(suite)]
    if name in known:
        return make_task(name, seed, split)
    check_free_text(name, known)
    return None


def check_free_text(name: str, known: list[str]) -> None:
    """See that a task that is none of `known` is meant as an instruction in own words.

    Raises:
        ConfigError: it looks like an id.
    """
    if TASK_ID.fullmatch(name):
        near = difflib.get_close_matches(name, known, 3)
        hint = f"did you mean {', '.join(near)}?" if near else "`qwen2vl-agent tasks` lists them"
        raise ConfigError(f"there is no bundled task {name!r}; {hint}")
