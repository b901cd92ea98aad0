"""`qwen2vl-agent tasks`: the bundled tasks."""

from dataclasses import dataclass

import tyro
from rich.markup import escape
from rich.table import Table

from qwen2vl_agent.commands import output


@dataclass(frozen=True, kw_only=True)
class Command:
    """List the bundled tasks of a suite, each with an example of its instruction.

    A task's seed decides its words, its phone's contents and its looks.

    Examples:
      qwen2vl-agent tasks
      qwen2vl-agent tasks clock --json
    """

    suite: tyro.conf.Positional[str] = "phone"
    """a suite: phone (all), or one app's, for example settings"""
    json: bool = False
    """print one JSON object as the last line of standard output"""

    def run(self) -> int:
        """Prints the ids and instructions."""
        from qwen2vl_agent.envs.suites import get_suite

        suite = get_suite(self.suite)
        goals = {task: suite.example(task) for task in suite.tasks}
        table = Table(
            "task", "for example", title=f"{len(goals)} tasks of the suite {self.suite}", title_justify="left"
        )
        for task, goal in goals.items():
            table.add_row(escape(task), escape(goal))
        output.console(self.json).print(table)
        if self.json:
            tasks = [{"id": task, "goal": goal} for task, goal in goals.items()]
            output.print_object({"suite": self.suite, "ids": list(goals), "tasks": tasks})
        return 0
