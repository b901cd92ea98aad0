"""`qwen2vl-agent verify`: recorded steps, encoded and scored again."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import tyro
from rich.console import Console

from qwen2vl_agent.agent.loading import Compute, LoadSettings, load, recorded_settings
from qwen2vl_agent.commands import output
from qwen2vl_agent.commands.models import resolve
from qwen2vl_agent.schema.errors import ConfigError

if TYPE_CHECKING:
    from qwen2vl_agent.agent.verify import Verification

NO_STEPS = 2


@dataclass(frozen=True, kw_only=True)
class Command:
    """Check that recorded steps give the same tokens and probabilities again.

    Every step that a model wrote, in every episode at or below the folder, is composed and encoded from its record and
    scored by the model that wrote it. Status 0: all equal; 1: a difference; 2: no step that a model wrote.

    Examples:
      qwen2vl-agent verify runs/bench
      qwen2vl-agent verify runs/bench --model runs/tiny/final --json
    """

    folder: tyro.conf.Positional[Path]
    """an episode, or a folder of episodes"""
    model: str = ""
    """folder or hub id; the one named in the records if left out"""
    compute: Compute | None = None
    """where to compute: cpu, cuda, or auto; as recorded if left out. Another place rounds otherwise"""
    json: bool = False
    """print one JSON object as the last line of standard output"""

    def run(self) -> int:
        """Checks; the status says what was found."""
        from qwen2vl_agent.agent.verify import Verification

        names = self._models()
        found = Verification()
        for (name, loading), folders in names.items():
            self._check(name, loading, folders, found, output.console(self.json))
        if self.json:
            mismatches = len(found.mismatches)
            worst = found.worst_logprob_difference
            values = {"steps": found.steps, "mismatches": mismatches, "worst_logprob_difference": worst}
            output.print_object(values)
        if not found.steps:
            output.console(self.json).print(f"{self.folder} holds no step that a model wrote", markup=False)
            return NO_STEPS
        return 0 if found.equal() else 1

    def _models(self) -> dict[tuple[str, LoadSettings], list[Path]]:
        """The episodes that a model wrote, by the model to check them against and how it was loaded."""
        from qwen2vl_agent.trajectory.store import episodes, read_header

        if not self.folder.is_dir():
            raise ConfigError(f"there is no folder {self.folder}")
        names: dict[tuple[str, LoadSettings], list[Path]] = {}
        for folder in episodes(self.folder):
            header = read_header(folder)
            if header.policy == "model":
                loading = recorded_settings(header)
                loading = replace(loading, compute=self.compute) if self.compute else loading
                names.setdefault((resolve(self.model or header.model), loading), []).append(folder)
        return names

    def _check(
        self, name: str, loading: LoadSettings, folders: list[Path], total: "Verification", console: Console
    ) -> None:
        from qwen2vl_agent.agent.verify import verify_episode

        model, processor = load(name, loading)
        for folder in folders:
            found = verify_episode(folder, model, processor)
            total.add(found)
            verdict = "equal" if found.equal() else f"{len(found.mismatches)} steps differ"
            worst = f"log-probabilities within {found.worst_logprob_difference:.1e}"
            console.print(f"{folder}: {found.steps} steps, {verdict}, {worst}", markup=False, soft_wrap=True)
