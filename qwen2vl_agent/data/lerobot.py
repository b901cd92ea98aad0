"""Robot episodes of LeRobot data sets, versions 2 and 3, read without the lerobot package (which needs torchvision).

A data set is a folder: `meta/` describes it, `data/` has a row for every frame, `videos/` has the cameras' pictures.
In version 2 each episode has its own files, in version 3 a file holds many.

Source: lerobot's docs/source/lerobot-dataset-v3.mdx and the layout of version 2.1.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from qwen2vl_agent.data.parquet import open_parquet
from qwen2vl_agent.schema.errors import RecordError

MISFITS = (KeyError, TypeError, ValueError, OSError, AttributeError, IndexError, ZeroDivisionError, OverflowError)
"""What a description of another form than expected leads to."""
FIELD = re.compile(r"\{(\w+)(?::0?(\d)d)?\}")
"""In a template of a path: a name, and in how many digits. More of Python's format language is refused: it can read
attributes, and pad to any length."""
SPAN = 50
"""Episodes in one piece of the work."""


@dataclass(frozen=True, slots=True)
class _Episode:
    """Where an episode's rows and pictures lie."""

    index: int
    tasks: tuple[str, ...]
    data: Path
    videos: dict[str, tuple[Path, float]]
    """By camera: the file, and the second in it at which the episode begins."""


def is_dataset(path: Path) -> bool:
    """Whether a folder holds a LeRobot data set."""
    return (path / "meta" / "info.json").is_file()


def spans(folder: Path) -> list[tuple[int, int]]:
    """First and last + 1 of the episodes that one process reads."""
    count = len(_listed(folder))
    return [(first, min(first + SPAN, count)) for first in range(0, count, SPAN)]


def episodes(folder: Path, first: int, last: int) -> Iterator[tuple[dict[str, Any], str]]:
    """Each episode as a record, with where it stands.

    `{"tasks": [text], "fps": rate, "action_names": [name], "rows": [row of the table], "videos": {camera: (file, s)}}`.

    Raises:
        RecordError: the data set is damaged or of an unknown version.
    """
    info = _info(folder)
    try:
        names = _names(info["features"].get("action", {}))
    except MISFITS as error:
        raise RecordError(f"{folder}: the names of its actions cannot be read: {error!r}") from error
    for episode in _listed(folder)[first:last]:
        where = f"{folder}, episode {episode.index}"
        try:
            rows = [row for row in _table(episode.data) if row["episode_index"] == episode.index]
            rows.sort(key=lambda row: row["frame_index"])
        except MISFITS as error:
            raise RecordError(f"{where}: {episode.data} is no table of frames: {error!r}") from error
        if not rows:
            raise RecordError(f"{where}: {episode.data} has no rows of it")
        yield (
            {
                "tasks": list(episode.tasks),
                "fps": float(info["fps"]),
                "action_names": names,
                "rows": rows,
                "videos": episode.videos,
            },
            where,
        )


def _names(feature: dict[str, Any]) -> list[str]:
    names = feature.get("names") or []
    if isinstance(names, dict):  # {"motors": [...]} in older sets
        names = next((value for value in names.values() if isinstance(value, list)), [])
    return [str(name) for name in names]


@lru_cache(maxsize=4)
def _info(folder: Path) -> dict[str, Any]:
    path = folder / "meta" / "info.json"
    try:
        info = json.loads(path.read_text("utf-8"))
        version = str(info["codebase_version"])
        if version[:2] not in ("v2", "v3"):
            raise RecordError(f"{path} has version {version}; expected v2 or v3")
        info["features"].items(), float(info["fps"])
        return info
    except MISFITS as error:
        raise RecordError(f"{path} cannot be used: {error!r}") from error


@lru_cache(maxsize=4)
def _listed(folder: Path) -> list[_Episode]:
    info = _info(folder)
    try:
        found = _version_2(folder, info) if info["codebase_version"].startswith("v2") else _version_3(folder, info)
    except MISFITS as error:
        raise RecordError(f"{folder}: its description cannot be used: {error!r}") from error
    return sorted(found, key=lambda episode: episode.index)


def _cameras(info: dict[str, Any]) -> list[str]:
    return [name for name, feature in info["features"].items() if feature["dtype"] == "video"]


def _version_2(folder: Path, info: dict[str, Any]) -> list[_Episode]:
    made = []
    for line in (folder / "meta" / "episodes.jsonl").read_text("utf-8").splitlines():
        described = json.loads(line)
        index = int(described["episode_index"])
        place = {"episode_index": index, "episode_chunk": index // int(info["chunks_size"])}
        films = {
            camera: (_placed(folder, info["video_path"], video_key=camera, **place), 0.0) for camera in _cameras(info)
        }
        made.append(_Episode(index, tuple(described["tasks"]), _placed(folder, info["data_path"], **place), films))
    return made


def _version_3(folder: Path, info: dict[str, Any]) -> list[_Episode]:
    made = []
    for path in sorted((folder / "meta" / "episodes").rglob("*.parquet")):
        for row in _rows(path):
            films = {}
            for camera in _cameras(info):
                prefix = f"videos/{camera}"
                path = _placed(
                    folder,
                    info["video_path"],
                    video_key=camera,
                    chunk_index=row[f"{prefix}/chunk_index"],
                    file_index=row[f"{prefix}/file_index"],
                )
                films[camera] = (path, float(row[f"{prefix}/from_timestamp"]))
            place = {"chunk_index": row["data/chunk_index"], "file_index": row["data/file_index"]}
            data = _placed(folder, info["data_path"], **place)
            made.append(_Episode(int(row["episode_index"]), tuple(row["tasks"]), data, films))
    return made


def _placed(folder: Path, template: str, **place: Any) -> Path:
    """Where a file of a data set lies.

    Raises:
        ValueError: the template is none, or leads out of the folder.
    """

    def fill(found: re.Match[str]) -> str:
        value = place[found[1]]
        return f"{int(value):0{int(found[2])}d}" if found[2] else str(value)

    name = FIELD.sub(fill, template)
    if "{" in name or "}" in name or Path(name).is_absolute() or ".." in Path(name).parts or "\0" in name:
        raise ValueError(f"{template!r} is no path of the data set's files")
    return folder / name


def _rows(path: Path) -> list[dict[str, Any]]:
    return open_parquet(path).read().to_pylist()


@lru_cache(maxsize=1)
def _table(path: Path) -> list[dict[str, Any]]:
    """The rows of a file of data; those of one file are asked for one after the other."""
    return _rows(path)
