"""The flywheel itself: collect, select, train, measure on held-out episodes, and promote what is better for certain.

    out/settings.json   what was asked for; another run into the same folder must ask for the same
    out/lessons/        what the vision encoder makes of the lessons' pictures, where lessons are learned along
    out/round-00/       the model to begin with, measured
    out/round-NN/       episodes/  selection.json  selection.md  train/model  held-out/
    out/results.json, curve.png

Each part is done again only as far as it is missing, so the same command goes on after whatever stopped it.
"""

import dataclasses
import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from qwen2vl_agent.bench.compare import compare
from qwen2vl_agent.bench.paired import Paired
from qwen2vl_agent.bench.result import BenchResult, Conditions
from qwen2vl_agent.bench.run import bench_jobs, run_bench
from qwen2vl_agent.envs.suites import get_suite
from qwen2vl_agent.flywheel.gather import gather, round_jobs
from qwen2vl_agent.flywheel.learn import imitate, reinforce
from qwen2vl_agent.flywheel.lessons import prepare_lessons
from qwen2vl_agent.flywheel.results import NO_CHOICE, Improvement, RoundResult
from qwen2vl_agent.flywheel.select import SelectSettings
from qwen2vl_agent.flywheel.selection import Selected, read_selection, select_below, write_selection
from qwen2vl_agent.flywheel.settings import HELD_OUT, ImproveSettings
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.trajectory.frames import write_whole
from qwen2vl_agent.trajectory.store import episodes

SETTINGS_FILE = "settings.json"
View = Callable[[int, str], AbstractContextManager[Any]]
"""(episodes, title) to what shows them as they come."""


def improve(
    settings: ImproveSettings,
    out: Path,
    view: View,
    baselines: bool = False,
    on_round: Callable[[RoundResult], None] = lambda found: None,
) -> Improvement:
    """Turn the flywheel; what came of every round.

    Raises:
        ConfigError: `out` holds a flywheel with other settings, or nothing is left to learn from.
    """
    out.mkdir(parents=True, exist_ok=True)
    check_settings(settings, out)
    found = Improvement(settings.to_json(), ceiling=_ceiling(settings.suite))
    if baselines:
        for name in NO_CHOICE:
            found.baselines[name] = _measure(settings, "", out / "baselines" / name, view, name).overall
    first = _measure(settings, settings.model, _held_out(out, 0), view)
    found.rounds.append(RoundResult(0, settings.model, first.overall))
    on_round(found.rounds[-1])
    for number in range(1, settings.rounds + 1):
        start = goes_on_from(found) if settings.go_on == "latest" else found.best
        found.rounds.append(_turn(settings, number, start.model, found.best, out, view))
        found.write(out)
        on_round(found.rounds[-1])
    return found


def better(against: Paired) -> bool:
    """Whether B is better than A with statistical confidence: the 95 % interval of the difference lies above 0."""
    return against.interval[0] > 0


def goes_on_from(found: Improvement) -> RoundResult:
    """The latest model, unless it is worse than the best with statistical confidence; then the best."""
    latest = found.rounds[-1]
    worse = latest.against is not None and latest.against.interval[1] < 0
    return found.best if worse else latest


def check_settings(settings: ImproveSettings, out: Path) -> None:
    """Keep the settings in `out`, or see that they are those that are kept.

    Raises:
        ConfigError: they are others.
    """
    path, wanted = out / SETTINGS_FILE, json.loads(json.dumps(settings.to_json()))
    if not path.is_file():
        write_whole(path, (json.dumps(wanted, indent=2) + "\n").encode())
        return
    newer = {item.name: item.default for item in dataclasses.fields(ImproveSettings) if item.name in wanted}
    kept = newer | json.loads(path.read_text("utf-8"))
    differing = [name for name in {*kept, *wanted} if kept.get(name) != wanted.get(name)]
    if differing:
        raise ConfigError(f"{out} holds a flywheel with other settings ({', '.join(sorted(differing))})")


def _turn(settings: ImproveSettings, number: int, start: str, best: RoundResult, out: Path, view: View) -> RoundResult:
    folder = round_folder(out, number)
    with view(len(round_jobs(settings, number, start)), f"round {number}: collect") as shown:
        count = gather(settings, number, start, folder / "episodes", shown)
    verdicts = select_below(folder / "episodes", _select_settings(settings))
    write_selection(verdicts, folder)
    chosen = read_selection(folder)
    candidate = str(_train(settings, number, start, chosen, out))
    measured = _measure(settings, candidate, _held_out(out, number), view)
    against = compare(_held_out(out, best.number), _held_out(out, number)).overall
    kept = len(chosen) if settings.method != "grpo" else count
    return RoundResult(number, candidate, measured.overall, count, kept, against, better(against))


def _train(settings: ImproveSettings, number: int, start: str, chosen: Sequence[Selected], out: Path) -> Path:
    folder = round_folder(out, number)
    if settings.method == "grpo":
        return reinforce(settings, start, episodes(folder / "episodes"), folder / "train")
    earlier = [one for before in range(1, number) for one in read_selection(round_folder(out, before))]
    replayed = [Selected(found, 1.0) for root in settings.replay for found in _successes(Path(root))]
    lessons = prepare_lessons(settings, out / "lessons")
    encoded = [round_folder(out, before) / "train" / "embeds" for before in range(1, number)]
    encoded = [place for place in encoded if place.is_dir()]
    return imitate(settings, start, chosen, [*earlier, *replayed], folder / "train", lessons, encoded)


def _successes(root: Path) -> list[Path]:
    """Episodes of a folder to replay.

    Raises:
        ConfigError: there are none.
    """
    from qwen2vl_agent.trajectory.store import read_header

    found = [folder for folder in episodes(root) if read_header(folder).outcome == "success"]
    if not found:
        raise ConfigError(f"{root} holds no successful episode to replay")
    return found


def _select_settings(settings: ImproveSettings) -> SelectSettings:
    """Mistakes that the solution corrected are what imitation is after: more of them may stand in an episode."""
    return SelectSettings(least_learned=0.25) if settings.method == "imitation" else SelectSettings()


def _measure(settings: ImproveSettings, model: str, out: Path, view: View, policy: str = "model") -> BenchResult:
    conditions = Conditions(
        suite=settings.suite,
        policy=policy,
        model=model,
        episodes=settings.held_out,
        seed=settings.held_out_seed,
        split=HELD_OUT,
    )
    with view(len(bench_jobs(conditions)), f"measure {policy} {Path(model).parent.parent.name}".rstrip()) as shown:
        result = run_bench(conditions, out, settings.workers, shown.result, shown.failure, settings.parallel)
    if result.failures:
        raise ConfigError(f"{len(result.failures)} measured episodes gave no verdict, the first: {result.failures[0]}")
    return result


def _ceiling(suite: str) -> float | None:
    """The mean of what theory allows at most over the suite's tasks, where it tells of any."""
    tasks, known = get_suite(suite).tasks, get_suite(suite).ceilings
    return sum(known.get(task, 1.0) for task in tasks) / len(tasks) if known else None


def round_folder(out: Path, number: int) -> Path:
    """Where a round lies."""
    return out / f"round-{number:02d}"


def _held_out(out: Path, number: int) -> Path:
    return round_folder(out, number) / "held-out"
