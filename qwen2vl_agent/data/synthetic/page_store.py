"""Screens with their elements, recorded once and read by memory map: frames in `.npy`, elements in JSON lines."""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from qwen2vl_agent.data.synthetic.canvas import Item, PlacedMark
from qwen2vl_agent.schema.errors import RecordError

SHARD = 256
"""Pages in a file."""


@dataclass(frozen=True, slots=True)
class PageItem:
    """An element of a page that has a text: its place on the model's grid, and its state."""

    item: Item
    role: str
    clickable: bool
    checked: bool | None

    def holds(self, other: "PageItem") -> bool:
        """Whether another element has its middle in this one."""
        left, top, right, bottom = self.item.box
        x, y = other.item.centre
        return other is not self and left <= x < right and top <= y < bottom


@dataclass(frozen=True, slots=True)
class RecordedPage:
    """A screen at the size the model sees it."""

    image: Image.Image
    items: tuple[PageItem, ...]
    name: str
    marks: tuple[PlacedMark, ...] = ()
    """All letters and icons that can be seen, each line from left to right."""


def write_pages(folder: Path, number: int, pages: Iterable[RecordedPage]) -> None:
    """Writes shard `number` of the first `SHARD` pages; a shard that is there already is complete and stays.

    Raises:
        ValueError: there are fewer pages than a shard holds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if has_shard(folder, number):
        return
    frames_file, items_file = _files(folder, number)
    kept = list(islice(pages, SHARD))
    if len(kept) < SHARD:
        raise ValueError(f"{len(kept)} pages are too few for shard {number}: a shard holds {SHARD}")
    unfinished = frames_file.with_suffix(f".{os.getpid()}.npy")
    np.save(unfinished, np.stack([np.asarray(page.image, dtype=np.uint8) for page in kept]))
    unfinished.rename(frames_file)
    text = "".join(json.dumps(_to_json(page), ensure_ascii=False) + "\n" for page in kept)
    draft = items_file.with_suffix(f".{os.getpid()}.tmp")
    draft.write_text(text, encoding="utf-8")
    draft.rename(items_file)


def has_shard(folder: Path, number: int) -> bool:
    """Whether shard `number` is there, and so complete."""
    return _files(folder, number)[1].exists()


class PageStore:
    """All pages of a folder, by number."""

    def __init__(self, folder: Path) -> None:
        """Finds the shards of a folder.

        Raises:
            RecordError: the folder holds no pages.
        """
        self.folder = folder
        self.shards = sorted(int(path.stem.split("-")[1]) for path in folder.glob("pages-*.jsonl"))
        if not self.shards:
            raise RecordError(f"{folder} holds no recorded pages; expected pages-*.jsonl")

    def __len__(self) -> int:
        return len(self.shards) * SHARD

    def __getitem__(self, index: int) -> RecordedPage:
        shard = self.shards[index // SHARD % len(self.shards)]
        frames, lines = _open(self.folder, shard)
        return _from_json(json.loads(lines[index % SHARD]), frames[index % SHARD])

    def names(self) -> list[str]:
        """Names of all pages, in order; no frame is read for it."""
        return list(_names(self.folder, tuple(self.shards)))

    def __iter__(self) -> Iterator[RecordedPage]:
        return (self[index] for index in range(len(self)))


@lru_cache(maxsize=512)
def _open(folder: Path, shard: int) -> tuple[Any, list[str]]:
    frames_file, items_file = _files(folder, shard)
    text = items_file.read_text("utf-8").removesuffix("\n")
    lines = text.split("\n")  # `splitlines` would cut at U+2028 too, which a text may hold
    return np.load(frames_file, mmap_mode="r"), lines


@lru_cache(maxsize=8)
def _names(folder: Path, shards: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(json.loads(line)["name"] for shard in shards for line in _open(folder, shard)[1] if line)


def _files(folder: Path, number: int) -> tuple[Path, Path]:
    return folder / f"pages-{number:05d}.npy", folder / f"pages-{number:05d}.jsonl"


def _to_json(page: RecordedPage) -> dict[str, Any]:
    items = [[entry.item.text, entry.item.box, entry.role, entry.clickable, entry.checked] for entry in page.items]
    return {"name": page.name, "items": items, "marks": page.marks}


def _from_json(value: dict[str, Any], frame: Any) -> RecordedPage:
    items = tuple(
        PageItem(Item(text, tuple(box)), role, clickable, checked)
        for text, box, role, clickable, checked in value["items"]
    )
    marks = tuple(PlacedMark(*mark) for mark in value["marks"])
    return RecordedPage(Image.fromarray(np.array(frame)), items, value["name"], marks)
