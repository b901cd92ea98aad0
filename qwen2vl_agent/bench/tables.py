"""A measurement as a table: in the terminal, and as Markdown."""

from collections.abc import Iterator
from pathlib import PurePath

from rich.markup import escape
from rich.table import Table

from qwen2vl_agent.agent.jobs import EpisodeResult
from qwen2vl_agent.bench.published import published_page
from qwen2vl_agent.bench.result import BenchResult, mean, success_rate
from qwen2vl_agent.envs.suites import get_suite

HEADINGS = ("task", "solved", "95 % range", "runs", "steps", "seconds")
Row = tuple[str, str, str, str, str, str]


def title(result: BenchResult) -> str:
    """One line that says what was measured."""
    what = result.conditions
    model = f" {PurePath(what.model).name}" if what.model else ""
    blind = ", blind (grey screens)" if what.blind else ""
    settings = "".join(f", {name}={value}" for name, value in what.settings.items())
    words = "" if what.split == "test" else f", {what.split} words"
    return (
        f"{what.suite}: {what.policy}{model}{blind}{settings}{words}, seed {what.seed}, {what.episodes} episodes a task"
    )


def rich_table(result: BenchResult) -> Table:
    """The table for a terminal."""
    table = Table(title=escape(title(result)), title_justify="left")
    table.add_column(HEADINGS[0], no_wrap=True, min_width=max(map(len, result.by_task()), default=0))
    for heading in HEADINGS[1:]:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in _task_rows(result):
        table.add_row(*map(escape, row))
    table.add_section()
    for row in _summary_rows(result):
        table.add_row(*map(escape, row), style="bold")
    return table


def markdown(result: BenchResult) -> str:
    """The same table, and what was left out, as a page."""
    lines = [f"# {title(result)}", "", _markdown_row(HEADINGS), _markdown_row(("---", *["---:"] * 5))]
    lines += [_markdown_row(row) for row in _task_rows(result)]
    lines += [_markdown_row([f"**{cell}**" if cell else "" for cell in row]) for row in _summary_rows(result)]
    if result.failures:
        lines += [
            "",
            "Incomplete; these episodes gave no verdict:",
            "",
            *(f"* {failure}" for failure in result.failures),
        ]
    lines += ["", "Intervals are Wilson's, at 95 % confidence. Unseen tasks are about words that training never shows."]
    lines += ["Seconds are those of the recorded steps: looking, thinking, acting."]
    lines += published_page(result.conditions.suite)
    return "\n".join(lines) + "\n"


def _task_rows(result: BenchResult) -> Iterator[Row]:
    ceilings = get_suite(result.conditions.suite).ceilings
    for task, group in result.by_task().items():
        yield _row(f"{task} (at most {ceilings[task]:.1%})" if task in ceilings else task, group)


def _summary_rows(result: BenchResult) -> Iterator[Row]:
    episodes = list(result.episodes)
    unseen = [episode for episode in episodes if episode.unseen]
    seen = [episode for episode in episodes if not episode.unseen]
    yield _row("all", episodes)
    yield _row("seen words", seen)
    yield _row("unseen words", unseen)


def _row(name: str, group: list[EpisodeResult]) -> Row:
    if not group:
        return name, "", "", "0", "", ""
    found = success_rate(group)
    return (
        name,
        f"{found.success:.0%}",
        f"{found.low * 100:.0f}–{found.high:.0%}",
        str(found.episodes),
        f"{mean([episode.steps for episode in group]):.1f}",
        f"{mean([episode.seconds for episode in group]):.2f}",
    )


def _markdown_row(cells: Row | list[str] | tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
