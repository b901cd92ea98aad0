"""Robot episodes: what the cameras see, and how the arm is told to move."""

import io
import json
from typing import Any

from PIL import Image

from qwen2vl_agent.data.example import Example
from qwen2vl_agent.data.readers.media import MediaRoot
from qwen2vl_agent.model.video_file import open_video_at
from qwen2vl_agent.schema.errors import RecordError
from qwen2vl_agent.schema.messages import Message, Part, TextPart

RATE_HZ = 2.0
"""Steps that are kept in a second, as of a video."""
MOST_STEPS = 64
"""An episode has no more; a longer one is thinned out further."""
DECIMALS = 3


def lerobot(record: dict[str, Any], root: MediaRoot, source: str) -> Example:
    """An episode as a dialogue: the cameras' pictures are said by the user, the action then taken by the assistant.

    Actions are those recorded at the steps that are kept: where the arm is told to be, for sets with absolute ones.
    """
    rows = record["rows"]
    stride = max(1, round(record["fps"] / RATE_HZ), -(-len(rows) // MOST_STEPS))
    kept = rows[::stride]
    views = _views(record, kept)
    if not views:
        raise RecordError("no camera: an episode without pictures teaches nothing here")
    messages = []
    for number, row in enumerate(kept):
        shown: list[Part] = [root.image(view[number]) for view in views]
        if number == 0:
            shown.append(TextPart(" ".join(record["tasks"])))
        told = _action(row["action"], record["action_names"])
        messages += [Message("user", tuple(shown)), Message("assistant", (TextPart(told, target=True),))]
    return Example(messages, source)


def _action(values: Any, names: list[str]) -> str:
    """`{"shoulder": 0.125, …}`, or a list where the set names no joints."""
    numbers = [round(float(value), DECIMALS) for value in (values if isinstance(values, list) else [values])]
    named = len(names) == len(numbers)
    return json.dumps(dict(zip(names, numbers, strict=True)) if named else numbers, ensure_ascii=False)


def _views(record: dict[str, Any], kept: list[dict[str, Any]]) -> list[list[Any]]:
    """The pictures of each camera at the steps that are kept, as PNG or as the data set has them."""
    films = []
    for path, begin in record["videos"].values():
        seconds = [begin + float(row["timestamp"]) for row in kept]
        pictures = [_png(picture) for picture in open_video_at(path, seconds).pictures()]
        if len(pictures) != len(kept):
            raise RecordError(f"{path} breaks off before the episode ends")
        films.append(pictures)
    stills = [name for name, value in kept[0].items() if isinstance(value, dict) and "bytes" in value]
    return films + [[row[name] for row in kept] for name in stills]


def _png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=1)
    return file.getvalue()
