"""`qwen2vl-agent doctor`: what is installed, attached and missing, and how to mend it."""

import dataclasses
from dataclasses import dataclass

from rich.markup import escape
from rich.table import Table

from qwen2vl_agent.commands import output
from qwen2vl_agent.commands.checkup import Finding, findings

COLOURS = {"good": "green", "note": "yellow", "missing": "red"}


@dataclass(frozen=True, kw_only=True)
class Command:
    """Tell what is installed, attached and missing, and how to mend it.

    Status 0 when the virtual phone and the model can run, 2 when something that they need is missing.

    Example:
      qwen2vl-agent doctor
    """

    json: bool = False
    """print one JSON object as the last line of standard output"""

    def run(self) -> int:
        """Prints the table; the status says whether the main job can run."""
        found = findings()
        output.console(self.json).print(_table(found))
        healthy = all(finding.state != "missing" for finding in found)
        if self.json:
            output.print_object({"ok": healthy, "checks": [dataclasses.asdict(finding) for finding in found]})
        return 0 if healthy else 2


def _table(found: list[Finding]) -> Table:
    table = Table(title="qwen2vl-agent doctor", title_justify="left")
    for heading in ("what", "state", "found", "how to mend it"):
        table.add_column(heading, overflow="fold")
    for finding in found:
        colour = COLOURS[finding.state]
        name, details, mend = escape(finding.name), escape(finding.found), escape(finding.mend)
        table.add_row(name, f"[{colour}]{finding.state}[/]", details, mend)
    return table
