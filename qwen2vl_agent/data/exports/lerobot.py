"""Episodes as a LeRobot data set, version 3: Parquet tables and one film of the screens.

A step is a frame. `action` has it as numbers: a robot's command as it was sent, its time running at the robot's own
rate, with what it measured before as `observation.state`; elsewhere the call (`action_vector.py`), one a second. `call`
and `thought` have it in words, `next.success` tells the verdict at the last frame.

Source: lerobot 0.4, `lerobot/datasets/utils.py` and `lerobot_dataset.py`.
"""

import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from qwen2vl_agent.data.exports.frame_columns import columns_of
from qwen2vl_agent.data.exports.lerobot_stats import Spread, picture_samples
from qwen2vl_agent.data.exports.screen_video import ScreenVideo, even
from qwen2vl_agent.data.parquet import write_parquet
from qwen2vl_agent.dialogue.tool_call import parse_call
from qwen2vl_agent.schema.errors import RecordError, ToolCallError
from qwen2vl_agent.schema.trajectory import Step, Trajectory
from qwen2vl_agent.trajectory.store import load_frame, read_episode

VERSION = "v3.0"
CAMERA, STATE = "observation.images.screen", "observation.state"
FILE = "chunk-000/file-000"
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
NUMBERED = ("timestamp", "frame_index", "episode_index", "index", "task_index")


class LeRobotSet:
    """An export of the episodes that it is told of first: their steps, tools and sizes decide the columns."""

    def __init__(self, out: Path, folders: Sequence[Path]) -> None:
        """Reads the episodes that are to be written.

        Raises:
            RecordError: an episode cannot be read.
        """
        self._out = out
        trajectories = [read_episode(folder, prompts=False) for folder in folders]
        self._columns = columns_of(trajectories)
        frames = [step.frame for trajectory in trajectories for step in trajectory.steps]
        self._size = even((max(frame.width for frame in frames), max(frame.height for frame in frames)))
        self._video = ScreenVideo(out / f"videos/{CAMERA}/{FILE}.mp4", self._size, self._columns.fps)
        self._rows: list[dict[str, Any]] = []
        self._episodes: list[dict[str, Any]] = []
        self._tasks: dict[str, int] = {}
        self._stats: dict[str, Spread] = {}

    def add(self, folder: Path) -> int:
        """Take an episode in; the number of frames.

        Raises:
            RecordError: it cannot be read.
        """
        trajectory = read_episode(folder, prompts=False)
        trajectory.steps = self._columns.kept(trajectory.steps)
        if not trajectory.steps:
            raise RecordError(f"{folder} holds an episode without steps")
        rows = self._episode_rows(trajectory)
        pictures = [load_frame(folder, step.frame) for step in trajectory.steps]
        for picture in pictures:
            self._video.add(picture)
        self._describe(folder, trajectory, rows, self._episode_stats(rows, pictures))
        self._rows += rows
        return len(rows)

    def close(self) -> None:
        """Write the tables and what describes them."""
        self._video.close()
        write_parquet(self._rows, self._out / f"data/{FILE}.parquet")
        write_parquet(self._episodes, self._out / f"meta/episodes/{FILE}.parquet")
        tasks = [{"task_index": number, "__index_level_0__": task} for task, number in self._tasks.items()]
        write_parquet(tasks, self._out / "meta/tasks.parquet", index="__index_level_0__")
        _write_json(self._out / "meta/info.json", self._info())
        _write_json(self._out / "meta/stats.json", {name: spread.to_json() for name, spread in self._stats.items()})

    def _episode_rows(self, trajectory: Trajectory) -> list[dict[str, Any]]:
        task = self._tasks.setdefault(trajectory.header.goal, len(self._tasks))
        last = len(trajectory.steps) - 1
        solved = trajectory.header.outcome == "success"
        return [
            {
                "action": self._columns.action(step),
                **({STATE: self._columns.state(step)} if self._columns.state_names else {}),
                "call": json.dumps(_call(step), ensure_ascii=False),
                "thought": _thought(step, trajectory),
                "next.reward": float(step.reward),
                "next.done": number == last,
                "next.success": number == last and solved,
                "timestamp": float(number / self._columns.fps),
                "frame_index": number,
                "episode_index": len(self._episodes),
                "index": len(self._rows) + number,
                "task_index": task,
            }
            for number, step in enumerate(trajectory.steps)
        ]

    def _describe(
        self, folder: Path, trajectory: Trajectory, rows: list[dict[str, Any]], stats: dict[str, Spread]
    ) -> None:
        first = len(self._rows)
        self._episodes.append(
            {
                "episode_index": len(self._episodes),
                "tasks": [trajectory.header.goal],
                "length": len(rows),
                "recorded_as": folder.name,
                "data/chunk_index": 0,
                "data/file_index": 0,
                "dataset_from_index": first,
                "dataset_to_index": first + len(rows),
                "meta/episodes/chunk_index": 0,
                "meta/episodes/file_index": 0,
                f"videos/{CAMERA}/chunk_index": 0,
                f"videos/{CAMERA}/file_index": 0,
                f"videos/{CAMERA}/from_timestamp": float(first / self._columns.fps),
                f"videos/{CAMERA}/to_timestamp": float((first + len(rows)) / self._columns.fps),
                **{
                    f"stats/{name}/{key}": value
                    for name, spread in stats.items()
                    for key, value in spread.to_json().items()
                },
            }
        )
        for name, spread in stats.items():
            self._stats[name] = self._stats[name].with_more(spread) if name in self._stats else spread

    def _episode_stats(self, rows: list[dict[str, Any]], pictures: list[Image.Image]) -> dict[str, Spread]:
        numbers = ("action", *([STATE] if self._columns.state_names else []), "next.reward", *NUMBERED)
        columns = {name: np.array([row[name] for row in rows], np.float64).reshape(len(rows), -1) for name in numbers}
        stats = {name: Spread.of(values) for name, values in columns.items()}
        return {**stats, CAMERA: Spread.of(picture_samples(pictures), shape=(3, 1, 1), count=len(pictures))}

    def _info(self) -> dict[str, Any]:
        return {
            "codebase_version": VERSION,
            "robot_type": self._columns.robot_type,
            "total_episodes": len(self._episodes),
            "total_frames": len(self._rows),
            "total_tasks": len(self._tasks),
            "chunks_size": 1000,
            "data_files_size_in_mb": 100,
            "video_files_size_in_mb": 200,
            "fps": _number(self._columns.fps),
            "splits": {"train": f"0:{len(self._episodes)}"},
            "data_path": DATA_PATH,
            "video_path": VIDEO_PATH,
            **self._columns.notes,
            "features": self._features(),
        }

    def _features(self) -> dict[str, Any]:
        width, height = self._size
        rate = _number(self._columns.fps)
        film = {"video.fps": rate, "video.height": height, "video.width": width, "video.channels": 3}
        names, state = ["height", "width", "channels"], self._columns.state_names
        features = {
            "action": _feature("float32", len(self._columns.action_names), list(self._columns.action_names)),
            **({STATE: _feature("float32", len(state), list(state))} if state else {}),
            CAMERA: {
                "dtype": "video",
                "shape": [height, width, 3],
                "names": names,
                "info": film | {"has_audio": False},
            },
            "call": _feature("string"),
            "thought": _feature("string"),
            "next.reward": _feature("float32"),
            "next.done": _feature("bool"),
            "next.success": _feature("bool"),
            "timestamp": _feature("float32"),
        }
        return {**features, **{name: _feature("int64") for name in NUMBERED if name != "timestamp"}}


def _feature(dtype: str, length: int = 1, names: list[str] | None = None) -> dict[str, Any]:
    return {"dtype": dtype, "shape": [length], "names": names}


def _number(rate: Fraction) -> int | float:
    return int(rate) if rate.denominator == 1 else float(rate)


def _call(step: Step) -> dict[str, Any] | None:
    return None if step.call is None else {"name": step.call.name, "arguments": step.call.arguments}


def _thought(step: Step, trajectory: Trajectory) -> str:
    try:
        return parse_call(step.reply.text, trajectory.header.form).thought
    except ToolCallError:
        return step.reply.text


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=4, ensure_ascii=False) + "\n", encoding="utf-8")
