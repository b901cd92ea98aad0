"""What a browser is asked to do: instructions in the user's own words, from the start page on."""

from typing import Any

from qwen2vl_agent.envs.task_set import check_free_text
from qwen2vl_agent.envs.tasks.task import Decision
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.schema.trajectory import Split


class BrowserTasks:
    """A browser has no bundled tasks; an episode begins in a new window on the start page."""

    app_names: tuple[str, ...] = ()

    def __init__(self, device: Any) -> None:
        self._device = device

    def begin(self, name: str, split: Split, seed: int, fresh: bool) -> None:
        """See `TaskSet`."""
        check_free_text(name, [])
        self._device.restart()

    def score(self, task: Any, answer: str | None) -> float:
        """Nobody knows."""
        return 0.0

    def oracle(self, task: Any) -> Decision:
        """There is none."""
        raise ConfigError("a browser has no bundled tasks; those of MiniWoB++ are: qwen2vl-agent tasks miniwob")
