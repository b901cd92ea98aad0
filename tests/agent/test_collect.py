"""Collecting on the virtual phone: whatever kills it, nothing recorded is lost and running it again finishes it."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from qwen2vl_agent.agent.jobs import Job
from qwen2vl_agent.agent.rollouts import collect_episodes
from qwen2vl_agent.agent.settings import AgentConfig
from qwen2vl_agent.agent.worker import run_job
from qwen2vl_agent.envs.register import make_env
from qwen2vl_agent.envs.tasks import task_ids
from qwen2vl_agent.schema.errors import RecordError
from qwen2vl_agent.trajectory.store import episodes, load_frame, read_episode, read_header

SMALL = (216, 480)
TASKS = task_ids()


def jobs(count: int, **changes: Any) -> list[Job]:
    return [
        Job(task=TASKS[seed % len(TASKS)], seed=seed, env_kwargs={"size": SMALL}, **changes) for seed in range(count)
    ]


def contents(root: Path) -> dict[str, Any]:
    """What was recorded, times left out."""
    found = {}
    for folder in episodes(root):
        trajectory = read_episode(folder)
        steps = [(step.frame, step.reply.text, step.error, step.reward) for step in trajectory.steps]
        found[folder.name] = (trajectory.header, steps)
    return found


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six episodes by two workers."""
    root = tmp_path_factory.mktemp("collected")
    collection = collect_episodes(jobs(6), root, workers=2)
    assert [result.outcome for result in collection.results] == ["success"] * 6, collection
    return root


def test_the_oracle_solves_what_is_collected_and_its_frames_are_shared(collected: Path) -> None:
    folders = episodes(collected)
    assert len(folders) == 6
    assert not any((folder / "frames").exists() for folder in folders)
    trajectory = read_episode(folders[0])
    assert load_frame(folders[0], trajectory.steps[0].frame).size == SMALL
    assert trajectory.header.config["split"] == "train"


def test_one_worker_records_what_two_record(collected: Path, tmp_path: Path) -> None:
    collect_episodes(jobs(6), tmp_path, workers=1)
    assert contents(tmp_path) == contents(collected)


def test_what_is_finished_is_not_run_again(collected: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in collected.rglob("*.json*")}
    collection = collect_episodes(jobs(6), collected, workers=2)
    assert [result.steps for result in collection.results] == [
        len(read_episode(result.folder).steps) for result in collection.results
    ]
    assert {path: path.stat().st_mtime_ns for path in collected.rglob("*.json*")} == before


def test_another_measurement_in_the_same_folder_is_refused(collected: Path) -> None:
    with pytest.raises(RecordError, match="other settings"):
        collect_episodes(jobs(6, agent=AgentConfig(blind=True)), collected, workers=1)


def test_an_unfinished_episode_goes_on_where_it_was(collected: Path, tmp_path: Path) -> None:
    job, env = jobs(1)[0], make_env("virtual-phone", size=SMALL)
    run_job(job, tmp_path, env)
    whole = contents(tmp_path)
    header, steps = tmp_path / job.name / "episode.json", tmp_path / job.name / "steps.jsonl"
    header.write_text(header.read_text().replace('"success"', "null"))
    lines = steps.read_bytes().splitlines(keepends=True)
    steps.write_bytes(lines[0] + lines[1][:50])
    result = run_job(job, tmp_path, env)
    assert result.outcome == "success"
    assert contents(tmp_path) == whole
    assert steps.read_bytes().startswith(lines[0])
    env.close()


def test_a_record_that_cannot_go_on_is_put_aside_and_kept(tmp_path: Path) -> None:
    job, env = jobs(1)[0], make_env("virtual-phone", size=SMALL)
    run_job(job, tmp_path, env)
    header, steps = tmp_path / job.name / "episode.json", tmp_path / job.name / "steps.jsonl"
    header.write_text(header.read_text().replace('"success"', "null"))
    line = json.loads(steps.read_text().splitlines()[0])
    line["frame"]["sha256"] = "0" * 64
    steps.write_text(json.dumps(line) + "\n")
    assert run_job(job, tmp_path, env).outcome == "success"
    assert json.loads((tmp_path / "aside" / f"{job.name}.1" / "steps.jsonl").read_text()) == line
    assert episodes(tmp_path) == [tmp_path / job.name]
    env.close()


def test_mistakes_on_purpose_are_recovered_from(tmp_path: Path) -> None:
    collection = collect_episodes(jobs(8, noise=0.4), tmp_path, workers=2)
    replies = [step.reply for folder in episodes(tmp_path) for step in read_episode(folder).steps]
    mistakes = [reply.text for reply in replies if not reply.target]
    assert len(mistakes) >= 4
    assert any('" is here: tap' in text for text in mistakes), "no touch beside what was meant"
    assert sum(result.outcome == "success" for result in collection.results) >= 5


def settled(root: Path) -> dict[Path, bytes]:
    """The whole lines of every record, once no worker writes any more: each ends when it finds its parent gone."""
    deadline = time.monotonic() + 30
    before: dict[Path, bytes] = {}
    while time.monotonic() < deadline:
        now = {path: path.read_bytes().rpartition(b"\n")[0] for path in root.glob("*/steps.jsonl")}
        if now == before:
            return now
        before = now
        time.sleep(1.0)
    raise AssertionError("a worker outlived its parent")


@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_collection_loses_nothing_and_is_finished_by_the_next(tmp_path: Path, kind: signal.Signals) -> None:
    wanted = jobs(64)
    script = textwrap.dedent(f"""
        import sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from test_collect import collect_episodes, jobs
        if __name__ == "__main__":
            collect_episodes(jobs(64), {str(tmp_path)!r}, workers=2)
    """)
    path = tmp_path / "script.py"
    path.write_text(script)
    process = subprocess.Popen(
        [sys.executable, str(path)],
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )
    deadline = time.monotonic() + 60
    while sum(1 for _ in tmp_path.glob("*/steps.jsonl")) < 3 and process.poll() is None:
        assert time.monotonic() < deadline, "nothing is recorded"
        time.sleep(0.01)
    os.kill(process.pid, kind)
    process.wait()
    kept = settled(tmp_path)
    assert 3 <= len(kept) < len(wanted)
    collection = collect_episodes(wanted, tmp_path, workers=2)
    assert [result.outcome for result in collection.results] == ["success"] * len(wanted)
    assert all(path.read_bytes().startswith(lines) for path, lines in kept.items())
    assert not (tmp_path / "aside").exists()


def test_workers_of_scripts_start_without_torch_and_langgraph(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; import qwen2vl_agent.agent.rollouts; "
        "from test_collect import jobs; from qwen2vl_agent.agent.worker import Envs, run_job; "
        f"result = run_job(jobs(1)[0], Path({str(tmp_path)!r}), Envs().get(jobs(1)[0])); "
        "assert result.outcome == 'success'; "
        "print([name for name in ('torch', 'transformers', 'langgraph') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=Path(__file__).parent
    )
    assert done.stdout.strip() == "[]"


def test_a_collected_header_tells_the_whole_job(collected: Path) -> None:
    header = read_header(episodes(collected)[0])
    assert header.config["job"]["env_kwargs"] == {"size": list(SMALL)}
    assert header.config["job"]["policy"] == "oracle"
