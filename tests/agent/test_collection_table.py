"""What a collection tells of itself while it grows, and when it is done."""

from pathlib import Path

from PIL import Image
from rich.console import Console

from qwen2vl_agent.agent.collection_table import CollectionTable, Volume
from qwen2vl_agent.agent.jobs import EpisodeResult, Job
from qwen2vl_agent.schema.trajectory import EpisodeHeader, Reply, Step
from qwen2vl_agent.trajectory.record import Recorder


def result(task: str, seed: int, solved: bool = True, seconds: float = 2.0) -> EpisodeResult:
    outcome = "success" if solved else "failure"
    return EpisodeResult(Job(task=task, seed=seed), Path(), outcome, float(solved), 5, False, "", seconds)


def test_a_terminal_shows_a_row_for_each_task() -> None:
    console = Console(force_terminal=True, width=100, record=True)
    with CollectionTable(console, 4, "collect phone") as view:
        for found in (result("clock.add", 0), result("clock.add", 1, solved=False), result("notes.add", 0)):
            view.result(found)
        view.failure(Job(task="notes.add", seed=1), "it broke", again=False)
    told = console.export_text()
    last = told[told.rindex("collect phone") :]
    row = next(line for line in last.splitlines() if "clock.add" in line)
    assert [cell.strip() for cell in row.split("│")[1:6]] == ["clock.add", "2", "1", "10", "2.00"]
    assert "3 of 4 episodes" in last
    assert "it broke" in told


def test_episodes_found_finished_do_not_count_as_speed() -> None:
    console = Console(width=200, record=True)
    with CollectionTable(console, 2, "collect") as view:
        view.result(result("clock.add", 0, seconds=0.0))
    assert view.rates() == "0.0 episodes a minute, 0.0 steps a second"
    assert "1/2 clock.add" in console.export_text()


def test_screens_shown_twice_are_kept_once(tmp_path: Path) -> None:
    for number in range(2):
        header = EpisodeHeader("clock.add", "Go.", "virtual-phone", "oracle", number)
        with Recorder(tmp_path / str(number), header, tmp_path / "frames", sync=False) as recorder:
            for index in range(3):
                frame = recorder.frame(Image.new("RGB", (28, 28), (80 * index, 0, 0)))
                recorder.append(Step(index, frame, "", Reply("Tap."), None, "", None, 0.0))
            recorder.finish("success")
    volume = Volume.below(tmp_path)
    assert (volume.shown, volume.frames) == (6, 3)
    assert volume.frame_bytes == sum(path.stat().st_size for path in (tmp_path / "frames").iterdir())
    assert volume.record_bytes > 0
    assert "3 screens (shown 6 times)" in volume.told()
