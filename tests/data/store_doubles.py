"""Small data sets on disk, for the tests of stores."""

import io
import json
import random
from pathlib import Path
from typing import Any

from PIL import Image

from qwen2vl_agent.data.build import BuildSettings
from qwen2vl_agent.data.sources import SourceInfo
from qwen2vl_agent.dialogue.processor import Processor
from qwen2vl_agent.model.image_processor import ImageProcessor
from qwen2vl_agent.model.tokenizer import train_tokenizer
from qwen2vl_agent.model.video_processor import VideoProcessor

INFO = SourceInfo(name="made-up", origin="tests", licence="CC0-1.0", first_date="2020", last_date="2023-06")


def save_processor(folder: Path) -> str:
    """A processor with a small vocabulary and small pictures, as a checkpoint has it."""
    images = ImageProcessor(min_pixels=784, max_pixels=16 * 784)
    videos = VideoProcessor(784, 4 * 784, 64, images)
    Processor(train_tokenizer(["the cat sat on the mat " * 3], 300), images, videos).save_pretrained(folder)
    return str(folder)


def png(seed: int, width: int = 60, height: int = 40) -> bytes:
    rng = random.Random(seed)
    image = Image.new("RGB", (width, height), tuple(rng.randrange(256) for _ in range(3)))
    image.putpixel((seed % width, 3), (255, 0, 0))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def write_lines(path: Path, records: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
    return path


def dialogues(count: int, media: Path) -> list[dict[str, Any]]:
    """LLaVA-style records, two in three with a picture below `media`."""
    media.mkdir(parents=True, exist_ok=True)
    made = []
    for number in range(count):
        record: dict[str, Any] = {"conversations": []}
        ask = f"what is number {number}?"
        if number % 3:
            (media / f"{number}.png").write_bytes(png(number, 40 + number % 50))
            record["image"], ask = f"{number}.png", f"<image>\n{ask}"
        told = "the cat " * (1 + number % 5) + str(number)
        record["conversations"] = [{"from": "human", "value": ask}, {"from": "gpt", "value": told}]
        made.append(record)
    return made


def settings(inputs: list[Path], model: str, format: str = "llava", **more: Any) -> BuildSettings:
    return BuildSettings(inputs=tuple(inputs), format=format, info=INFO, model=model, **more)
