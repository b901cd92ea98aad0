"""The flywheel's own logic: what is collected, when a model is promoted, that nothing is done twice."""

import json
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from qwen2vl_agent.agent.jobs import FINISHED, EpisodeResult, Job, job_notes
from qwen2vl_agent.agent.settings import taught_settings
from qwen2vl_agent.bench.paired import Paired
from qwen2vl_agent.commands.models import EMBEDDED
from qwen2vl_agent.flywheel import improve as wheel
from qwen2vl_agent.flywheel.gather import round_jobs
from qwen2vl_agent.flywheel.improve import better, check_settings, improve
from qwen2vl_agent.flywheel.settings import ImproveSettings
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.schema.trajectory import EpisodeHeader, Reply, Step
from qwen2vl_agent.trajectory.lines import HEADER_FILE
from qwen2vl_agent.trajectory.record import Recorder

MODEL = str(EMBEDDED)


def settings(**more: Any) -> ImproveSettings:
    return ImproveSettings(**{"suite": "clock", "model": MODEL, "episodes": 10, "held_out": 12, **more})


def test_imitation_lets_the_model_act_with_the_solution_beside_it() -> None:
    jobs = round_jobs(settings(size=(540, 1200)), 2, MODEL)
    assert len(jobs) == 10
    assert {job.policy for job in jobs} == {"dagger"}
    assert {job.split for job in jobs} == {"train", "invented"}
    assert all(job.seed // 1_000_000 == 3 for job in jobs), "round 2 of seed 1"
    assert all(job.agent == taught_settings(MODEL) and job.env_kwargs["size"] == [540, 1200] for job in jobs)


def test_plain_demonstrations_are_of_the_same_phones() -> None:
    ours, plain = (round_jobs(settings(method=method), 1, MODEL) for method in ("imitation", "demonstrations"))
    assert [(job.task, job.seed, job.split) for job in ours] == [(job.task, job.seed, job.split) for job in plain]
    assert {(job.policy, job.model) for job in plain} == {("oracle", "")}


def test_attempts_at_one_episode_have_folders_and_chances_of_their_own() -> None:
    jobs = round_jobs(settings(method="grpo", attempts=3, episodes=6), 1, MODEL)
    assert [job.draw for job in jobs] == [0, 1, 2, 0, 1, 2]
    assert len({job.name for job in jobs}) == 6
    assert len({(job.task, job.seed) for job in jobs}) == 2
    assert all(job.sampling["temperature"] == 1.0 for job in jobs)


def test_only_what_is_better_for_certain_is_promoted() -> None:
    assert better(Paired(both=40, only_a=5, only_b=25, neither=30))
    assert not better(Paired(both=40, only_a=14, only_b=20, neither=26)), "six points, but by chance perhaps"
    assert not better(Paired(both=40, only_a=25, only_b=5, neither=30))


def test_settings_that_make_no_sense_are_refused() -> None:
    for wrong in (
        {"held_out_seed": 3},
        {"rounds": 0},
        {"replay_share": 1.0},
        {"lessons_share": 1.0},
        {"method": "grpo", "attempts": 1},
        {"temperature": -1.0},
    ):
        with pytest.raises(ConfigError):
            settings(**wrong)


def test_another_flywheel_does_not_go_on_in_the_same_folder(tmp_path: Path) -> None:
    check_settings(settings(), tmp_path)
    check_settings(settings(rounds=9, workers=1), tmp_path)
    with pytest.raises(ConfigError, match=r"other settings \(lr, steps\)"):
        check_settings(settings(steps=3, lr=1.0), tmp_path)


def test_a_flywheel_from_before_a_setting_goes_on_with_its_default(tmp_path: Path) -> None:
    kept = settings().to_json()
    del kept["go_on"]
    (tmp_path / "settings.json").write_text(json.dumps(kept))
    check_settings(settings(), tmp_path)
    with pytest.raises(ConfigError, match=r"other settings \(go_on\)"):
        check_settings(settings(go_on="latest"), tmp_path)


class Stage:
    """Stands in for episodes and training: model N solves the first `solves[N]` of every ten held-out episodes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, solves: list[int]) -> None:
        self.trained: list[tuple[str, int]] = []
        self._solves = solves
        for module in ("qwen2vl_agent.bench.run", "qwen2vl_agent.flywheel.gather"):
            monkeypatch.setattr(f"{module}.collect_episodes", self.collect)
        monkeypatch.setattr(wheel, "imitate", self.imitate)

    def collect(self, jobs: list[Job], out: Path, workers: int, *told: Any) -> Any:
        out.mkdir(parents=True, exist_ok=True)
        results = []
        for place, job in enumerate(jobs):
            if not (out / job.name / HEADER_FILE).is_file():
                record(out / job.name, job, self._solved(job, place))
            outcome = json.loads((out / job.name / HEADER_FILE).read_text("utf-8"))["outcome"]
            assert outcome in FINISHED
            results.append(EpisodeResult(job, out / job.name, outcome, float(outcome == "success"), 1, False))
        return SimpleNamespace(results=results, failures=[])

    def _solved(self, job: Job, place: int) -> bool:
        number = int(Path(job.model).name.removeprefix("model-")) if "model-" in job.model else 0
        return job.policy == "dagger" or place % 10 < self._solves[number]

    def imitate(self, given: Any, start: str, fresh: list[Any], earlier: list[Any], out: Path, *_: Any) -> Path:
        self.trained.append((Path(start).name, len(earlier)))
        assert fresh
        return out / f"model-{int(out.parent.name.removeprefix('round-'))}"


def record(folder: Path, job: Job, solved: bool) -> None:
    header = EpisodeHeader(job.task, f"{job.task} {job.seed}", "virtual-phone", job.policy, job.seed)
    header.config["job"] = job_notes(job)
    with Recorder(folder, header, sync=False) as recorder:
        frame = recorder.frame(Image.new("RGB", (28, 28), (job.seed % 256, 0, 0)))
        recorder.append(Step(0, frame, "", Reply("It is done."), None, "", None, float(solved)))
        recorder.finish("success" if solved else "failure")


@contextmanager
def silent(total: int, title: str) -> Any:
    yield SimpleNamespace(result=None, failure=None)


def test_the_wheel_turns_from_the_best_model_and_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(monkeypatch, solves=[3, 7, 6, 9])
    found = improve(settings(rounds=3), tmp_path, silent, baselines=True)
    assert [one.promoted for one in found.rounds] == [True, True, False, True]
    assert [name for name, _ in stage.trained] == [EMBEDDED.name, "model-1", "model-1"]
    assert [count > 0 for _, count in stage.trained] == [False, True, True], "earlier rounds are replayed"
    assert found.best.number == 3
    told = json.loads((tmp_path / "results.json").read_text("utf-8"))
    assert [entry["success"] for entry in told["rounds"]] == pytest.approx([0.3, 0.7, 0.6, 0.9], abs=0.03)
    for entry in told["rounds"]:
        assert entry["low"] < entry["success"] < entry["high"]
    assert told["rounds"][1]["against_best"]["low"] > 0
    assert told["rounds"][2]["against_best"]["difference"] < 0
    assert set(told["baselines"]) == {"noop", "random", "oracle"}
    with Image.open(tmp_path / "curve.png") as curve:
        assert curve.size[0] > 600
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob(HEADER_FILE)}
    again = improve(settings(rounds=3), tmp_path, silent, baselines=True)
    assert again.to_json() == found.to_json()
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob(HEADER_FILE)}, "nothing was run twice"


def test_a_wheel_may_go_on_from_the_latest_model_unless_that_is_worse_for_certain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(monkeypatch, solves=[7, 7, 7, 1, 9])
    found = improve(settings(rounds=4, go_on="latest"), tmp_path, silent)
    assert [one.promoted for one in found.rounds][1:] == [False, False, False, True]
    assert [name for name, _ in stage.trained] == [EMBEDDED.name, "model-1", "model-2", EMBEDDED.name]
