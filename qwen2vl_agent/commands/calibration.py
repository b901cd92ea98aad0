"""`qwen2vl-agent calibration`: how often a model was right, by how sure it was."""

from dataclasses import asdict, dataclass
from pathlib import Path

import tyro
from rich.table import Table

from qwen2vl_agent.commands import output
from qwen2vl_agent.schema.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Command:
    """Tell how far a model's confidence in its calls can be believed.

    Every episode of a bundled task on a virtual phone, at or below the folder, is done again beside the bundled
    solution: a call is right if the solution would do the same on that screen. With the table you choose a threshold
    for `run --ask-below`.

    Examples:
      qwen2vl-agent calibration runs/bench
      qwen2vl-agent calibration runs/bench --json
    """

    folder: tyro.conf.Positional[Path]
    """an episode, or a folder of episodes, such as `bench --out` records"""
    json: bool = False
    """print one JSON object as the last line of standard output"""

    def run(self) -> int:
        """Judges the calls, and prints a table."""
        from qwen2vl_agent.bench.calibration import calibration, judged_calls
        from qwen2vl_agent.trajectory.store import episodes

        if not self.folder.is_dir():
            raise ConfigError(f"there is no folder {self.folder}")
        found = calibration(call for folder in episodes(self.folder) for call in judged_calls(folder))
        if not found.calls:
            raise ConfigError(f"{self.folder} holds no call of a bundled task with a confidence; bench or run a model")
        table = Table("confidence", "calls", "mean", "right", "95 %")
        for sort in found.sorts:
            right = sort.right
            interval = f"{right.low:.0%} to {right.high:.0%}"
            numbers = f"{right.episodes}", f"{sort.mean:.3f}", f"{right.success:.0%}", interval
            table.add_row(f"{sort.low:g} to {sort.high:g}", *numbers)
        console = output.console(self.json)
        console.print(table)
        console.print(
            f"{found.calls} calls, expected calibration error {found.error:.3f}, Brier score {found.brier:.3f}"
        )
        if self.json:
            output.print_object(asdict(found))
        return 0
