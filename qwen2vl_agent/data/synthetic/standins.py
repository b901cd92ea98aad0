"""Small stand-ins of published benchmarks, in their own files' form, of generated pictures and films.

They show that an evaluation runs from the files to the score. Their scores say nothing about the real benchmarks.
"""

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from qwen2vl_agent.data.synthetic.charts import ChartSource
from qwen2vl_agent.data.synthetic.documents import DocumentSource
from qwen2vl_agent.data.synthetic.shapes import ShapeSource
from qwen2vl_agent.data.synthetic.tables import TableSource
from qwen2vl_agent.data.synthetic.trials import film_file
from qwen2vl_agent.data.synthetic.videos import NAMES, questions, random_film
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.schema.messages import ImagePart, TextPart

SUITES = ("docvqa", "infovqa", "mathvista", "videomme")
CHOICES = {"Yes": ["Yes", "No"], "No": ["Yes", "No"], "left": ["left", "right"], "right": ["left", "right"]}
"""Answers that are chosen from a list."""


def write(suite: str, folder: Path, count: int, seed: int = 0) -> None:
    """Writes so many questions of a suite with their pictures or films; the same seed writes the same.

    Raises:
        ConfigError: there is no such suite, or the folder has something in it.
    """
    writers = dict(zip(SUITES, (_docvqa, _infovqa, _mathvista, _videomme), strict=True))
    if suite not in writers:
        raise ConfigError(f"there is no stand-in for {suite!r}; expected one of {', '.join(SUITES)}")
    if folder.is_dir() and any(folder.iterdir()):
        raise ConfigError(f"{folder} has something in it; a stand-in needs a folder of its own")
    folder.mkdir(parents=True, exist_ok=True)
    writers[suite](folder, count, seed)


def _docvqa(folder: Path, count: int, seed: int) -> None:
    sources = [DocumentSource(name="docvqa-documents", seed=seed), TableSource(name="docvqa-tables", seed=seed)]
    _write_documents(folder, sources, count, "image", "docvqa", "val_v1.0.json")


def _infovqa(folder: Path, count: int, seed: int) -> None:
    sources = [ChartSource(name="infovqa-charts", seed=seed), TableSource(name="infovqa-tables", seed=seed)]
    _write_documents(folder, sources, count, "image_local_name", "infographicsVQA", "infographicsVQA_val_v1.0.json")


def _write_documents(folder: Path, sources: list[Any], count: int, key: str, name: str, file: str) -> None:
    data = []
    for number, (picture, question, answer) in zip(range(count), _asked(sources), strict=False):
        path = _save(picture, folder, "images", number)
        data.append({"questionId": number, "question": question, key: path, "answers": [answer]})
    _write_json(folder / file, {"dataset_name": name, "dataset_split": "val", "data": data})


def _mathvista(folder: Path, count: int, seed: int) -> None:
    sources = [ChartSource(name="mathvista-charts", seed=seed), ShapeSource(name="mathvista-shapes", seed=seed)]
    entries: dict[str, Any] = {}
    for picture, question, answer in _asked(sources):
        choices = CHOICES.get(answer)
        if not (choices or answer.isdigit()):
            continue
        number = str(len(entries) + 1)
        entries[number] = {
            "pid": number,
            "question": question,
            "query": f"{question}\nChoices: {', '.join(choices)}" if choices else question,
            "image": _save(picture, folder, "images", len(entries)),
            "choices": choices,
            "answer": answer,
            "answer_type": "text" if choices else "integer",
            "precision": None,
            "metadata": {"task": "choosing" if choices else "counting and reading off"},
        }
        if len(entries) == count:
            break
    _write_json(folder / "testmini.json", entries)


def _videomme(folder: Path, count: int, seed: int) -> None:
    (folder / "data").mkdir()
    entries: list[dict[str, Any]] = []
    for film_number in range(count):
        rng = random.Random(f"{seed}/videomme/{film_number}")
        film, name = random_film(rng, rng.randint(10, 30), 112, 4), f"film{film_number}"
        asked = [turn for turn in questions(film) if turn[1] in NAMES]
        question, answer = rng.choice(asked)
        options = rng.sample([event.name for event in film.events], 4)
        (folder / "data" / f"{name}.mp4").write_bytes(film_file(film))
        entries.append(
            {
                "video_id": f"{film_number:03d}",
                "videoID": name,
                "duration": "short",
                "question_id": f"{film_number:03d}-1",
                "question": question,
                "options": [f"{letter}. {option}." for letter, option in zip("ABCD", options, strict=True)],
                "answer": "ABCD"[options.index(answer)],
            }
        )
    _write_json(folder / "test.json", entries)


def _asked(sources: list[Any]) -> Iterator[tuple[Any, str, str]]:
    """Pictures with a question and its answer in words, one of each picture, the sources in turn, without end."""
    number = 0
    while True:
        for source in sources:
            messages = source.example(number).messages[1:]
            picture = messages[0].parts[0]
            assert isinstance(picture, ImagePart)
            turns = [(_text(asked), _text(told)) for asked, told in zip(messages[::2], messages[1::2], strict=True)]
            worded = [(question, answer) for question, answer in turns if question and not _has_box(question + answer)]
            yield from ((picture.image, *turn) for turn in worded[:1])
        number += 1


def _text(message: Any) -> str:
    return "".join(part.text for part in message.parts if isinstance(part, TextPart))


def _has_box(text: str) -> bool:
    return bool(re.search(r"<\|box_", text))


def _save(picture: Any, folder: Path, below: str, number: int) -> str:
    (folder / below).mkdir(exist_ok=True)
    picture.save(folder / below / f"{number}.png")
    return f"{below}/{number}.png"


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", "utf-8")
