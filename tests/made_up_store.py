"""A text store of documents that have lengths and grids, and no more."""

import json
from pathlib import Path

import numpy as np

from qwen2vl_agent.data.sources import SourceInfo
from qwen2vl_agent.data.text_shard import Document, Media, Shard, ShardWriter
from qwen2vl_agent.data.text_store import LIST_FILE, TextStore


def store(folder: Path, name: str, lengths: list[int], grids: list[tuple[int, int, int] | None]) -> TextStore:
    folder.mkdir()
    writer = ShardWriter()
    for number, (length, grid) in enumerate(zip(lengths, grids, strict=True)):
        media = () if grid is None else (Media(f"{number}.png", "00" * 32, grid),)
        writer.add(Document(np.full(length, 7), np.array([[length - 1, length]]), media))
    path = folder / "shard-00000.text"
    writer.write(path, {})
    info = SourceInfo(name=name, origin="made up", licence="CC0-1.0", first_date="2023", last_date="2023")
    listed = {"file": path.name, "documents": len(lengths), "tokens": Shard(path).tokens, "sha256": ""}
    told = {"version": 1, "source": info.to_dict(), "processor": "", "vision": "", "shards": [listed]}
    (folder / LIST_FILE).write_text(json.dumps(told))
    return TextStore(folder)
