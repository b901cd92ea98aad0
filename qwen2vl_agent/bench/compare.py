"""Two measurements of the same episodes beside each other."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from qwen2vl_agent.agent.jobs import FINISHED, EpisodeResult, Job, result_of
from qwen2vl_agent.bench.paired import Paired, count
from qwen2vl_agent.bench.result import mean
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.trajectory.lines import HEADER_FILE, STEPS_FILE
from qwen2vl_agent.trajectory.store import read_header, whole_lines

COMPARISON_VERSION = 1
CLEAR = 0.05
"""A p-value below this is marked."""
HEADINGS = ("task", "A", "B", "B - A", "95 % range", "only A", "only B", "runs", "p")
Key = tuple[str, int, str, str]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Episodes that two measurements have in common."""

    a: Path
    b: Path
    pairs: tuple[tuple[EpisodeResult, EpisodeResult], ...]
    alone_a: int
    """Episodes that only A has."""
    alone_b: int

    @property
    def overall(self) -> Paired:
        """Over all common episodes."""
        return _counted(list(self.pairs))

    def by_task(self) -> dict[str, list[tuple[EpisodeResult, EpisodeResult]]]:
        """The pairs of each task."""
        groups: dict[str, list[tuple[EpisodeResult, EpisodeResult]]] = {}
        for pair in self.pairs:
            groups.setdefault(pair[0].job.task, []).append(pair)
        return groups

    def to_json(self) -> dict[str, Any]:
        """For `bench compare --json`."""
        return {
            "version": COMPARISON_VERSION,
            "a": str(self.a),
            "b": str(self.b),
            "only_in_a": self.alone_a,
            "only_in_b": self.alone_b,
            **_numbers(list(self.pairs)),
            "per_task": {task: _numbers(pairs) for task, pairs in self.by_task().items()},
        }


def compare(a: Path, b: Path) -> Comparison:
    """Put the finished episodes of two folders side by side: same task, seed, words and environment.

    Raises:
        ConfigError: a folder holds no measurement, or the two have no episode in common.
    """
    first, second = episodes(a), episodes(b)
    common = [key for key in first if key in second]
    if not common:
        raise ConfigError(
            f"{a} and {b} have no episode in common; measure the same suite with the same --seed and --split"
        )
    pairs = tuple((first[key], second[key]) for key in common)
    return Comparison(a, b, pairs, len(first) - len(common), len(second) - len(common))


def episodes(folder: Path) -> dict[Key, EpisodeResult]:
    """The finished episodes that `bench` or `collect` recorded in a folder, by what makes two of them comparable.

    Raises:
        ConfigError: there are none.
    """
    found: dict[Key, EpisodeResult] = {}
    for header_file in sorted(folder.glob(f"*/{HEADER_FILE}")):
        header = read_header(header_file.parent)
        notes = header.config.get("job")
        if not isinstance(notes, dict) or header.outcome not in FINISHED:
            continue
        job = Job(task=str(notes["task"]), seed=int(notes["seed"]), split=notes["split"], policy=str(notes["policy"]))
        where = repr((notes.get("env"), sorted(notes.get("env_kwargs", {}).items())))
        key = (job.task, job.seed, job.split, where)
        if key in found:
            raise ConfigError(f"{folder} has the episode {job.task}, seed {job.seed}, of more than one policy")
        steps = len(whole_lines(header_file.parent / STEPS_FILE))
        found[key] = result_of(job, header_file.parent, header, steps)
    if not found:
        raise ConfigError(f"{folder} holds no finished episodes of `bench` or `collect`")
    return found


def comparison_table(comparison: Comparison) -> Table:
    """The table for a terminal; tasks that tell the two apart are marked by a star."""
    table = Table(title=escape(f"A: {comparison.a}\nB: {comparison.b}"), title_justify="left")
    table.add_column(HEADINGS[0], no_wrap=True, min_width=max(map(len, comparison.by_task())))
    for heading in HEADINGS[1:]:
        table.add_column(heading, justify="right", no_wrap=True)
    for task, pairs in comparison.by_task().items():
        table.add_row(*map(escape, _row(task, _counted(pairs))))
    table.add_section()
    table.add_row(*map(escape, _row("all", comparison.overall)), style="bold")
    return table


def comparison_page(comparison: Comparison) -> str:
    """The same as Markdown."""
    rows = [HEADINGS, ("---", *["---:"] * (len(HEADINGS) - 1))]
    rows += [_row(task, _counted(pairs)) for task, pairs in comparison.by_task().items()]
    rows += [_row("**all**", comparison.overall)]
    lines = [f"# {comparison.a.name} (A) and {comparison.b.name} (B)", ""]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    alone = f"{comparison.alone_a} episodes of A and {comparison.alone_b} of B have no partner and are left out."
    lines += ["", *EXPLANATION, alone, ""]
    return "\n".join(lines)


EXPLANATION = (
    "Both did the same episodes. p is that of McNemar's exact test: how likely so uneven a split of the episodes that "
    "only one of them solved would be, were they equally good; a star marks less than 0.05, and of twenty tasks one "
    "has a star by chance. The range is Newcombe's for paired shares, at 95 % confidence.",
)


def _counted(pairs: list[tuple[EpisodeResult, EpisodeResult]]) -> Paired:
    return count([(one.outcome == "success", other.outcome == "success") for one, other in pairs])


def _row(name: str, found: Paired) -> tuple[str, ...]:
    low, high = found.interval
    return (
        name,
        f"{found.a:.0%}",
        f"{found.b:.0%}",
        f"{100 * found.difference:+.0f}",
        f"{100 * low:+.0f} to {100 * high:+.0f}",
        str(found.only_a),
        str(found.only_b),
        str(found.episodes),
        f"{found.p_value:.3f}" + ("*" if found.p_value < CLEAR else ""),
    )


def _numbers(pairs: list[tuple[EpisodeResult, EpisodeResult]]) -> dict[str, Any]:
    found = _counted(pairs)
    low, high = found.interval
    return {
        "episodes": found.episodes,
        "success_a": round(found.a, 4),
        "success_b": round(found.b, 4),
        "difference": round(found.difference, 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "only_a": found.only_a,
        "only_b": found.only_b,
        "p": round(found.p_value, 6),
        "mean_reward_a": round(mean([one.reward for one, _ in pairs]), 4),
        "mean_reward_b": round(mean([other.reward for _, other in pairs]), 4),
        "mean_steps_a": round(mean([one.steps for one, _ in pairs]), 2),
        "mean_steps_b": round(mean([other.steps for _, other in pairs]), 2),
    }
