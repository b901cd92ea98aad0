"""`qwen2vl-agent plot`: a training as pictures."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from qwen2vl_agent.commands import output


@dataclass(frozen=True, kw_only=True)
class Command:
    """Draw a training's metrics: loss by source, tokens a second, use of the devices, padding, balance, drift, memory.

    Works while the training goes on.

    Examples:
      qwen2vl-agent plot runs/talks
      qwen2vl-agent plot runs/tiny --out docs/images
    """

    run_folder: tyro.conf.Positional[Path]
    """what --out of the training was"""
    out: Path | None = None
    """folder for the pictures; plots/ in the run's folder if left out"""
    json: bool = False
    """print one JSON object as the last line of standard output"""

    def run(self) -> int:
        """Draws."""
        from qwen2vl_agent.recipes.run_plot import draw_run

        drawn = [str(file) for file in draw_run(self.run_folder, self.out)]
        output.console(self.json).print("\n".join(drawn), markup=False, soft_wrap=True, highlight=False)
        if self.json:
            output.print_object({"run": str(self.run_folder), "pictures": drawn})
        return 0
