"""A measurement as JSON, as tables and as a picture."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from qwen2vl_agent.agent.jobs import EpisodeResult, Job
from qwen2vl_agent.bench.chart import BAR, LABELS, ROW, TOTAL_BAR, draw_chart
from qwen2vl_agent.bench.result import BenchResult, Conditions
from qwen2vl_agent.bench.tables import markdown, rich_table


def episode(task: str, seed: int, solved: bool, unseen: bool) -> EpisodeResult:
    job = Job(task=task, seed=seed, split="test")
    outcome = "success" if solved else "failure"
    return EpisodeResult(job, Path(job.name), outcome, float(solved), steps=4, unseen=unseen, seconds=2.5)


@pytest.fixture
def result() -> BenchResult:
    episodes = [episode("settings.toggle", seed, seed < 3, seed % 2 == 0) for seed in range(4)]
    episodes += [episode("clock.alarm", seed, False, False) for seed in range(2)]
    return BenchResult(
        Conditions("phone", "model", "tiny", 4, 7), tuple(episodes), failures=("notes.write: its worker died",)
    )


def test_the_json_has_the_promised_names(result):
    values = json.loads(json.dumps(result.to_json()))
    assert values["success"] == 0.5
    assert (values["seed"], values["policy"], values["model"]) == (7, "model", "tiny")
    assert set(values["per_task"]["settings.toggle"]) >= {"success", "episodes", "low", "high"}
    assert values["per_task"]["settings.toggle"]["success"] == 0.75
    assert values["per_task"]["clock.alarm"]["episodes"] == 2
    assert values["failures"] == ["notes.write: its worker died"]


def test_seen_and_unseen_words_are_scored_apart(result):
    assert (result.unseen.success, result.unseen.episodes) == (1.0, 2)
    assert (result.seen.success, result.seen.episodes) == (0.25, 4)


def test_both_tables_show_every_task_and_the_total(result):
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(rich_table(result))
    for shown in (console.export_text(), markdown(result)):
        for word in ("settings.toggle", "clock.alarm", "75%", "unseen words", "seed 7"):
            assert word in shown
    assert "* notes.write: its worker died" in markdown(result)


def test_every_row_of_the_markdown_table_has_as_many_cells(result):
    rows = [line for line in markdown(result).splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 2 + 3
    assert len({row.count("|") for row in rows}) == 1


def test_the_bars_of_the_chart_are_as_long_as_the_shares(result):
    image = draw_chart(result)
    middles = [image.height - 28 - ROW * back + ROW // 2 + 8 for back in (3, 2, 1)]
    lengths = [bar_length(image, middle, colour) for middle, colour in zip(middles, (BAR, BAR, TOTAL_BAR), strict=True)]
    assert lengths[0] == pytest.approx(0.75 * (lengths[2] / 0.5), abs=3)
    assert lengths[1] <= 2


def bar_length(image, y: int, colour: str) -> int:
    wanted = tuple(int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return sum(image.getpixel((x, y)) == wanted for x in range(LABELS, image.width))
