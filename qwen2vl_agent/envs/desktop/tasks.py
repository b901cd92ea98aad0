"""What a desktop is asked to do: instructions in the user's own words."""

from typing import Any

from qwen2vl_agent.envs.task_set import check_free_text
from qwen2vl_agent.envs.tasks.task import Decision
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.schema.trajectory import Split


class DesktopTasks:
    """A desktop has no bundled tasks; an episode begins on the desktop as it is, a virtual one begins empty."""

    app_names: tuple[str, ...] = ()

    def __init__(self, device: Any) -> None:
        self._device = device

    def begin(self, name: str, split: Split, seed: int, fresh: bool) -> None:
        """See `TaskSet`."""
        check_free_text(name, [])
        self._device.begin()

    def score(self, task: Any, answer: str | None) -> float:
        """Nobody knows."""
        return 0.0

    def oracle(self, task: Any) -> Decision:
        """There is none."""
        raise ConfigError("a desktop has no bundled tasks")
