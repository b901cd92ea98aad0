"""Recording an episode as it happens, so that nothing recorded is lost whatever kills the program."""

import dataclasses
import os
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from PIL import Image

from qwen2vl_agent.schema.errors import RecordError
from qwen2vl_agent.schema.trajectory import EpisodeHeader, Outcome, Step, StoredFrame, Trajectory
from qwen2vl_agent.trajectory.frames import PRIVATE, FrameStore, write_whole
from qwen2vl_agent.trajectory.lines import HEADER_FILE, STEPS_FILE, context_after, header_json, step_line
from qwen2vl_agent.trajectory.lock import lock
from qwen2vl_agent.trajectory.store import frames_folder, read_episode, read_header, whole_lines


class Recorder:
    """Writes one episode: its header at once, each step when it is done, the outcome at the end.

    A step is on the disk when `append` returns (`sync=True`: even if the machine loses power; else: even if the
    process is killed). Frames are written before the step that names them.
    """

    def __init__(
        self, folder: Path | str, header: EpisodeHeader, frames_dir: Path | str | None = None, sync: bool = True
    ) -> None:
        """Begin a new episode in `folder`; `frames_dir` is a folder of frames to share with others.

        Raises:
            RecordError: the folder holds an episode already, or another process is writing one there.
        """
        folder = Path(folder)
        folder.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        file = _steps_file(folder)
        if (folder / HEADER_FILE).exists():
            file.close()
            raise RecordError(f"{folder} holds an episode already; choose another folder or resume it")
        self._set_up(file, Trajectory(header), Path(frames_dir) if frames_dir else folder / "frames", sync)

    def _set_up(self, file: BinaryIO, trajectory: Trajectory, frames: Path, sync: bool) -> None:
        self.folder = Path(file.name).parent
        self.trajectory = trajectory
        self._file = file
        self._frames = FrameStore(frames, sync)
        self._sync = sync
        self._before: tuple[int, ...] = ()
        for step in trajectory.steps:
            self._before = context_after(step, self._before)
        self._write_header()

    @classmethod
    def reopen(cls, folder: Path | str, sync: bool = True) -> "Recorder":
        """Go on with an episode that was begun: its steps are in `.trajectory`, a torn last line is cut off.

        Raises:
            RecordError: no episode there, it cannot be read, or another process is writing it.
        """
        folder = Path(folder)
        read_header(folder)  # before a file is made where there is no episode
        file = _steps_file(folder)
        try:
            trajectory = read_episode(folder)
        except RecordError:
            file.close()
            raise
        file.truncate(sum(len(line) + 1 for line in whole_lines(folder / STEPS_FILE)))
        trajectory.header = dataclasses.replace(trajectory.header, outcome=None, message="")
        recorder = cls.__new__(cls)
        recorder._set_up(file, trajectory, frames_folder(folder), sync)
        return recorder

    @property
    def header(self) -> EpisodeHeader:
        """The header as it stands."""
        return self.trajectory.header

    def frame(self, image: Image.Image) -> StoredFrame:
        """Keep a screen's exact pixels; the reference that a step carries."""
        return self._frames.put(image)

    def frame_path(self, frame: StoredFrame) -> Path:
        """Where a frame of this episode lies."""
        return self._frames.path(frame)

    def append(self, step: Step) -> None:
        """Write the next step."""
        expected = len(self.trajectory.steps)
        assert step.index == expected, f"step {step.index} appended where {expected} is next"
        self._file.write(step_line(step, self._before))
        self._file.flush()
        if self._sync:
            os.fsync(self._file.fileno())
        self._before = context_after(step, self._before)
        self.trajectory.steps.append(step)

    def finish(self, outcome: Outcome, reward: float = 0.0, message: str = "") -> Trajectory:
        """Write how the episode ended; the whole of it."""
        self.trajectory.header = dataclasses.replace(self.header, outcome=outcome, reward=reward, message=message)
        self._write_header()
        self.close()
        return self.trajectory

    def close(self) -> None:
        """Let go of the files. Without `finish` before it, the episode stays open and can be resumed."""
        self._file.close()

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write_header(self) -> None:
        frames = os.path.relpath(self._frames.folder, self.folder)
        write_whole(self.folder / HEADER_FILE, header_json(self.header, Path(frames).as_posix()), self._sync)


def _steps_file(folder: Path) -> BinaryIO:
    """The file of steps, open for more and kept to this process."""
    file = (folder / STEPS_FILE).open("ab")
    lock(file)
    return file
