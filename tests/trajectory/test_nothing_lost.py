"""Whatever stops the recording, what was recorded before can be read: full disks, read-only folders, signals."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from qwen2vl_agent.schema.trajectory import EpisodeHeader, Reply, Step
from qwen2vl_agent.trajectory.record import Recorder
from qwen2vl_agent.trajectory.store import load_frame, read_episode

HEADER = EpisodeHeader("text", "Do it.", "virtual-phone", "oracle", 1)


def step(recorder: Recorder, index: int, text: str = "Tap.") -> Step:
    frame = recorder.frame(Image.new("RGB", (40, 60), (index % 256, 0, 0)))
    return Step(index, frame, "", Reply(text), None, "", None, 0.0)


def whole(folder: Path, steps: int) -> None:
    """So many steps can be read, with their frames."""
    episode = read_episode(folder)
    assert len(episode.steps) == steps
    for kept in episode.steps:
        assert load_frame(folder, kept.frame).size == (40, 60)


FULL_DISK = """
import errno, os, resource, signal, sys
from pathlib import Path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
sys.path.insert(0, {tests!r})
from test_nothing_lost import HEADER, Recorder, step
recorder = Recorder(Path({folder!r}), HEADER)
for index in range(3):
    recorder.append(step(recorder, index))
size = os.path.getsize(Path({folder!r}) / "steps.jsonl")
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50, size + 50))
try:
    recorder.append(step(recorder, 3, "x" * 10_000))
except OSError as error:
    assert error.errno == errno.EFBIG, error
    sys.exit(7)
"""


def test_a_step_that_no_longer_fits_the_disk_fails_and_those_before_it_stay(tmp_path):
    folder = tmp_path / "episode"
    code = FULL_DISK.format(tests=str(Path(__file__).parent), folder=str(folder))
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ)
    assert ran.returncode == 7, ran.stderr
    whole(folder, 3)
    with Recorder.reopen(folder) as recorder:  # with room again, it goes on where it was
        recorder.append(step(recorder, 3))
        recorder.finish("success", 1.0)
    whole(folder, 4)


def test_a_frame_that_cannot_be_written_leaves_no_step_without_its_frame(tmp_path, monkeypatch):
    recorder = Recorder(tmp_path / "episode", HEADER)
    recorder.append(step(recorder, 0))

    def full(*given: object, **more: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("qwen2vl_agent.trajectory.frames.write_whole", full)
        with pytest.raises(OSError, match="No space left"):
            step(recorder, 1)
    recorder.append(step(recorder, 1))
    recorder.close()
    whole(tmp_path / "episode", 2)


def test_a_folder_that_becomes_read_only_can_still_be_read(tmp_path):
    folder = tmp_path / "episode"
    with Recorder(folder, HEADER) as recorder:
        recorder.append(step(recorder, 0))
    for path in (folder / "frames", folder):
        path.chmod(0o500)
    try:
        whole(folder, 1)
    finally:
        for path in (folder, folder / "frames"):
            path.chmod(0o700)


RECORDING = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_nothing_lost import HEADER, Recorder, step
recorder = Recorder(Path({folder!r}), HEADER)
for index in range(100_000):
    recorder.append(step(recorder, index))
    print(index, flush=True)
"""


def test_sigterm_between_any_two_bytes_loses_no_step_that_was_done(tmp_path):
    folder = tmp_path / "episode"
    code = RECORDING.format(tests=str(Path(__file__).parent), folder=str(folder))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        assert process.stdout is not None
        for _ in range(5):
            process.stdout.readline()
        time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        done = 5 + sum(1 for line in process.stdout if line.endswith("\n"))
    steps = read_episode(folder).steps
    assert len(steps) in (done, done + 1)  # the last may be on the disk before the program could say so
    whole(folder, len(steps))


def test_a_clock_that_jumps_changes_nothing_of_a_record(tmp_path, monkeypatch):
    folder, jumps = tmp_path / "episode", iter((0.0, 4e9, -5.0, 2e9) * 100)
    monkeypatch.setattr(time, "time", lambda: next(jumps))
    with Recorder(folder, HEADER) as recorder:
        for index in range(4):
            recorder.append(step(recorder, index))
    whole(folder, 4)
