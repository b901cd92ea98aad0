"""`qwen2vl-agent select`: which recorded episodes are learned from, and why."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import tyro

from qwen2vl_agent.commands import output
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.schema.trajectory import Outcome


@dataclass(frozen=True, kw_only=True)
class Command:
    """Choose the recorded episodes that are worth learning from, and tell why of each.

    What failed by the environment's own check is left out, and what is far too long, goes in circles, holds more
    mistakes than lessons, teaches the same as another, contradicts another on the very same screen, or is too much of
    one task. Episodes with a person's corrections count more. The report is OUT/selection.md.

    Examples:
      qwen2vl-agent select runs/lessons
      qwen2vl-agent select runs/attempts --hindsight --out runs/attempts/chosen
    """

    folder: tyro.conf.Positional[Path]
    """an episode, or a folder of episodes"""
    out: Path | None = None
    """folder for selection.json and selection.md; the folder itself if left out"""
    hindsight: bool = False
    """tell failed episodes of the phone as the task that they solved instead, where there is one"""
    outcome: tuple[Outcome, ...] = ("success",)
    """episodes that ended so may be learned from"""
    longest: float = 2.5
    """steps of an episode, at most this many times its task's median"""
    repeats: int = 3
    """the same call on the same screen more often is a loop"""
    least_learned: float = 0.4
    """share of an episode's steps that are to be learned, at least"""
    balance: float = 2.0
    """episodes of a task, at most this many times the mean over tasks"""
    person_weight: float = 4.0
    """what an episode with a person's corrections counts; others count 1"""
    json: bool = False
    """print one JSON object as the last line of standard output"""

    def run(self) -> int:
        """Chooses; the status says whether anything is left to learn from."""
        from qwen2vl_agent.flywheel.select import SelectSettings
        from qwen2vl_agent.flywheel.selection import PAGE, RULES, select_below, write_selection

        console, out = output.console(self.json), self.out or self.folder
        try:
            settings = SelectSettings(
                outcomes=self.outcome,
                longest=self.longest,
                repeats=self.repeats,
                least_learned=self.least_learned,
                balance=self.balance,
                person_weight=self.person_weight,
            )
        except ValueError as error:
            raise ConfigError(str(error)) from error
        relabelled = self._relabel() if self.hindsight else 0
        verdicts = select_below(self.folder, settings)
        if not verdicts:
            raise ConfigError(f"{self.folder} holds no episode")
        write_selection(verdicts, out)
        counts = Counter(verdict.rule for verdict in verdicts)
        for rule, meaning in RULES.items():
            if counts[rule]:
                console.print(f"{counts[rule]:>6} {rule}: {meaning}", markup=False, soft_wrap=True)
        kept = sum(verdict.kept for verdict in verdicts)
        console.print(f"{kept} of {len(verdicts)} episodes; report: {out / PAGE}", markup=False, soft_wrap=True)
        if self.json:
            values = {"episodes": len(verdicts), "kept": kept, "rules": counts, "relabelled": relabelled}
            output.print_object({**values, "out": str(out)})
        return 0 if kept else 1

    def _relabel(self) -> int:
        """How many failed episodes were told anew."""
        from qwen2vl_agent.flywheel.hindsight import relabelled
        from qwen2vl_agent.trajectory.store import episodes

        made = [relabelled(folder, self.folder / "hindsight") for folder in episodes(self.folder)]
        return sum(folder is not None for folder in made)
