"""The desktop's bundled tasks, and instructions in the user's own words."""

from random import Random
from typing import Any

from qwen2vl_agent.envs.desktop.catalogue import TEMPLATES
from qwen2vl_agent.envs.desktop.template import Desk, DesktopTask
from qwen2vl_agent.envs.desktop.virtual import missing
from qwen2vl_agent.envs.task_set import check_free_text
from qwen2vl_agent.envs.tasks.task import Decision
from qwen2vl_agent.schema.actions import Done, Wait
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.schema.trajectory import Split

SPARE_STEPS = 6
"""Steps that a task allows beyond twice those of its solution."""
WAITS = 10
"""Seconds that a solution waits for its last action to have an effect."""
PACKAGES = {
    "xterm": "xterm", "mousepad": "mousepad", "pcmanfm": "pcmanfm", "xcalc": "x11-apps", "xclock": "x11-apps",
    "dbus-run-session": "dbus-daemon",
}  # fmt: skip
"""Debian packages of the applications."""


class DesktopTasks:
    """The bundled tasks of a virtual desktop. Free text begins on the desktop as it is; a virtual one begins empty."""

    app_names: tuple[str, ...] = ()

    def __init__(self, device: Any) -> None:
        self._device = device

    def begin(self, name: str, split: Split, seed: int, fresh: bool) -> DesktopTask | None:
        """See `TaskSet`.

        Raises:
            ConfigError: it would not run on a virtual desktop, or an application is not installed.
        """
        if name not in TEMPLATES:
            check_free_text(name, list(TEMPLATES))
            self._device.begin()
            return None
        template = TEMPLATES[name]
        if self._device.virtual is None:
            raise ConfigError(
                f"the bundled task {name} opens applications and writes files, so it runs on a virtual desktop only: "
                "--virtual; or give the task in your own words"
            )
        if packages := missing({program: PACKAGES[program] for program in template.programs}):
            raise ConfigError(f"{name} needs more programs; Debian: apt-get install {' '.join(packages)}")
        params = template.draw(Random(f"{name}/{seed}/{split}"), split)
        self._device.begin()
        desk = Desk(self._device)
        template.prepare(desk, params)
        max_steps = 2 * len(template.plan(params)) + SPARE_STEPS
        goal = template.goal.format(**params)
        return DesktopTask(name, seed, goal, params, split == "test", max_steps, desk, template)

    def score(self, task: DesktopTask, answer: str | None) -> float:
        """1 where files, processes or the answer are as asked for, else 0."""
        return float(task.template.solved(task.desk, task.params, answer))

    def oracle(self, task: DesktopTask) -> Decision:
        """The solution's next action, by how many were done; it does not mend what others did."""
        plan = task.template.plan(task.params)
        done = self._device.acted
        if done < len(plan):
            thought, action = plan[done]
            return Decision(thought, action(task.desk))
        if self.score(task, None) >= 1:
            return Decision("It is done.", Done())
        if done < len(plan) + WAITS:
            return Decision("The application takes a moment.", Wait(seconds=1))
        return Decision("It had no effect.", Done(status="failure"))
