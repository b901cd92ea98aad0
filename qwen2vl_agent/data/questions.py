"""Questions of published benchmarks, read from a user's own copy of them."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qwen2vl_agent.data.parquet import open_parquet
from qwen2vl_agent.schema.errors import ConfigError, MediaError, RecordError
from qwen2vl_agent.schema.messages import ImagePart, Message, Part, TextPart, VideoPart

SHORT = "Answer the question using a single word or phrase."
"""Source: the prompts with which DocVQA and InfoVQA are asked (LLaVA-1.5, and Qwen2-VL's evaluation)."""
LETTER = "Respond with only the letter of the correct option."
"""Source: Video-MME's prompt."""
FILMS = (".mp4", ".mkv", ".webm", ".mov", ".avi")


@dataclass(frozen=True, slots=True)
class Question:
    """One question and what counts as right."""

    id: str
    messages: list[Message]
    truths: tuple[str, ...]
    options: tuple[str, ...] = ()
    """Of a multiple choice; its truth is a letter (Video-MME) or an option (MathVista)."""
    kind: str = ""
    """What it is reported under beside the whole: the length of the video, the task."""
    answer_type: str = "text"
    precision: int | None = None
    """Decimals of a number."""


def questions(suite: str, folder: Path, split: str = "") -> Iterator[Question]:
    """The questions of `docvqa`, `infovqa`, `mathvista` or `videomme` in a folder, as published or as on the hub.

    Raises:
        ConfigError: there is nothing that can be read.
        RecordError: a question lacks something.
    """
    readers = {"docvqa": _document, "infovqa": _document, "mathvista": _mathvista, "videomme": _videomme}
    found = 0
    for record, where in _records(folder, split):
        try:
            made = readers[suite](record, folder)
        except (KeyError, TypeError, ValueError) as error:
            raise RecordError(f"{where}: no question of {suite}: {error!r}") from error
        if made is not None:
            found += 1
            yield made
    if not found:
        raise ConfigError(f"{folder} has no questions of {suite} with answers; are these the files of its test set?")


def _records(folder: Path, split: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Entries of all Parquet files of a folder, or else of its JSON files, in the order of their names."""
    files = sorted(folder.rglob("*.parquet")) or sorted([*folder.glob("*.json"), *folder.glob("*/*.json")])
    files = [path for path in files if split in path.name]
    if not files:
        raise ConfigError(f"{folder} has no Parquet or JSON file" + (f" with {split!r} in its name" if split else ""))
    for path in files:
        for number, record in enumerate(_rows(path) if path.suffix == ".parquet" else _entries(path)):
            yield record, f"{path}, entry {number}"


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    for batch in open_parquet(path).iter_batches(16):
        yield from batch.to_pylist()


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise RecordError(f"{path} cannot be read: {error}") from error
    if isinstance(content, dict) and isinstance(content.get("data"), list):  # DocVQA's files
        content = content["data"]
    elif isinstance(content, dict):  # MathVista's: by number
        content = [value for value in content.values() if isinstance(value, dict)]
    yield from (entry for entry in content if isinstance(entry, dict))


def _document(record: dict[str, Any], folder: Path) -> Question | None:
    """DocVQA and InfographicVQA; the test sets are published without answers, and cannot be scored here."""
    answers = record.get("answers")
    if not answers:
        return None
    name = record.get("image_local_name") or record.get("image")
    text = f"{record['question']}\n{SHORT}"
    return Question(str(record["questionId"]), _asked(_image(name, folder), text), tuple(map(str, answers)))


def _mathvista(record: dict[str, Any], folder: Path) -> Question | None:
    if not record.get("answer"):
        return None
    picture = _image(record.get("decoded_image") or record["image"], folder)
    options = tuple(map(str, record.get("choices") or ()))
    text = str(record.get("query") or record["question"])
    precision = record.get("precision")
    return Question(
        str(record["pid"]),
        _asked(picture, text),
        (str(record["answer"]),),
        options,
        kind=str((record.get("metadata") or {}).get("task", "")),
        answer_type=str(record.get("answer_type", "text")),
        precision=None if precision is None else int(precision),
    )


def _videomme(record: dict[str, Any], folder: Path) -> Question | None:
    options = tuple(str(option).partition(". ")[2] or str(option) for option in record["options"])
    listed = "\n".join(map(str, record["options"]))
    text = f"{record['question']}\n{listed}\n{LETTER}"
    film = _film(str(record.get("videoID") or record["video_id"]), folder)
    duration = str(record.get("duration", ""))
    return Question(
        str(record["question_id"]), _asked(VideoPart(film), text), (str(record["answer"]),), options, duration
    )


def _asked(part: Part, text: str) -> list[Message]:
    return [Message("user", (part, TextPart(text)))]


def _image(value: Any, folder: Path) -> ImagePart:
    if isinstance(value, dict):
        if value.get("bytes"):
            return ImagePart(value["bytes"])
        value = value.get("path")
    if not isinstance(value, str) or not value:
        raise ValueError("no picture")
    for place in (folder / value, folder / "images" / os.path.basename(value)):
        if place.is_file() and place.resolve().is_relative_to(folder.resolve()):
            return ImagePart(place)
    raise MediaError(f"{folder} lacks the picture {value}")


def _film(name: str, folder: Path) -> Path:
    for place in (folder, folder / "data", folder / "videos"):
        for ending in FILMS:
            if (place / f"{name}{ending}").is_file():
                return place / f"{name}{ending}"
    raise MediaError(f"{folder} lacks the video {name}")
