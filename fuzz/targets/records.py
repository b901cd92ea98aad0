"""Data sets from outside: files of records, and the formats that records may have."""

import io
import json
import random
import tarfile
from pathlib import Path
from typing import Any

from fuzz.mutate import some_bytes, some_json
from fuzz.target import Check, Make, Target
from fuzz.targets.media import pictures
from qwen2vl_agent.schema.errors import ConfigError, MediaError, RecordError

CALL = {"function": {"name": "tap", "arguments": {"point": [1, 2]}}}
RECORDS: dict[str, list[dict[str, Any]]] = {
    "llava": [
        {"image": "a.png",
         "conversations": [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "A"}]}
    ],
    "sharegpt": [
        {
            "conversations": [{"from": "human", "value": "<image>?"}, {"from": "function_call", "value": "{}"},
                              {"from": "observation", "value": "ok"}, {"from": "gpt", "value": "A"}],
            "system": "Be kind.", "images": ["a.png"],
        }
    ],
    "messages": [
        {
            "messages": [{"role": "user", "content": "<image><ref-object><bbox>"},
                         {"role": "assistant", "content": "A", "tool_calls": [CALL], "loss": True}],
            "images": ["a.png"], "objects": {"ref": ["cat"], "bbox": [[1, 2, 3, 4]], "bbox_type": "real"},
        },
        {"prompt": [{"role": "user", "content": [{"type": "image", "image": "a.png"}, {"type": "text", "text": "?"}]}],
         "completion": "A"},
    ],
    "interleaved": [{"texts": ["a", None, "b"], "images": [None, "a.png", None]}],
    "pairs": [{"image": "a.png", "caption": "a cat", "text": "a cat"}],
    "text": [{"text": "words"}],
    "webdataset": [{"__key__": "1", "png": b"", "txt": b"a cat", "json": b'{"caption": "a"}'}],
    "lerobot": [
        {"tasks": ["push"], "fps": 10.0, "action_names": ["x"], "rows": [{"frame_index": 0, "action": [0.5],
         "timestamp": 0.0}], "videos": {}}
    ],
}  # fmt: skip


def _format(name: str) -> Target:
    def prepare(folder: Path) -> tuple[Make, Check]:
        from qwen2vl_agent.data.readers.formats import example, reader
        from qwen2vl_agent.data.readers.media import MediaRoot
        from qwen2vl_agent.data.records import Record
        from qwen2vl_agent.data.vision_store import FetchSettings, VisionStore

        (folder / "a.png").write_bytes(pictures()["PNG"])
        root, read = MediaRoot(VisionStore(folder, FetchSettings(attempts=1))), reader(name)

        def check(value: Any) -> None:
            if isinstance(value, dict):
                assert example(Record(value, "here"), read, root, "source").messages

        return lambda rng: some_json(rng, rng.choice(RECORDS[name])), check

    return Target(f"record.{name}", (RecordError, MediaError), prepare)


def _file(kind: str) -> Target:
    def prepare(folder: Path) -> tuple[Make, Check]:
        from qwen2vl_agent.data.records import pieces, read

        path = folder / f"records.{kind}"
        seed = _written(path, kind)

        def check(data: bytes) -> None:
            path.unlink()
            path.write_bytes(data)
            for piece in pieces(path):
                for record in read(piece):
                    assert isinstance(record.value, dict)

        return lambda rng: some_bytes(rng, seed, most=3), check

    return Target(f"records.{kind}", (RecordError, ConfigError, MediaError), prepare)


def _written(path: Path, kind: str) -> bytes:
    rows = [{"id": number, "text": "word " * 5, "list": [1, 2]} for number in range(6)]
    if kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif kind == "json":
        path.write_text(json.dumps(rows))
    elif kind == "tar":
        with tarfile.open(path, "w") as archive:
            for number in range(3):
                for ending, data in (("txt", b"a cat"), ("json", b"{}")):
                    member = tarfile.TarInfo(f"sample{number}.{ending}")
                    member.size = len(data)
                    archive.addfile(member, io.BytesIO(data))
    else:
        _write_table(path, kind, rows)
    return path.read_bytes()


def _write_table(path: Path, kind: str, rows: list[dict[str, Any]]) -> None:
    import pyarrow
    from pyarrow import ipc, parquet

    table = pyarrow.Table.from_pylist(rows)
    if kind == "parquet":
        parquet.write_table(table, path)
        return
    with path.open("wb") as file, ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)


def _conversations(folder: Path) -> tuple[Make, Check]:
    from qwen2vl_agent.data.conversations import ConversationFile

    path = folder / "talk.jsonl"
    picture = {"type": "image", "image": "a.png"}
    seed = {"messages": [{"role": "user", "content": [picture, {"type": "text", "text": "?"}]},
                         {"role": "assistant", "content": "A"}], "weight": 1.0}  # fmt: skip

    def make(rng: random.Random) -> bytes:
        return (
            json.dumps(some_json(rng, seed)).encode()
            if rng.random() < 0.7
            else some_bytes(rng, json.dumps(seed).encode())
        )

    def check(line: bytes) -> None:
        path.write_bytes(line + b"\n")
        ConversationFile.open(path).example(0)

    return make, check


def _lerobot(folder: Path) -> tuple[Make, Check]:
    """The description of a robot's data set."""
    from qwen2vl_agent.data import lerobot

    meta = folder / "meta"
    meta.mkdir()
    info = {
        "codebase_version": "v2.1", "fps": 10, "chunks_size": 1000, "data_path": "data/{episode_index:06d}.parquet",
        "video_path": "videos/{video_key}/{episode_index:06d}.mp4",
        "features": {"action": {"dtype": "float32", "names": ["x"]}, "camera": {"dtype": "video"}},
    }  # fmt: skip
    listed = {"episode_index": 0, "tasks": ["push"], "length": 2}

    def make(rng: random.Random) -> Any:
        return some_json(rng, [info, listed], most=2)

    def check(value: Any) -> None:
        described, episode = value if isinstance(value, list) and len(value) == 2 else (value, listed)
        (meta / "info.json").write_text(json.dumps(described))
        (meta / "episodes.jsonl").write_text(json.dumps(episode) + "\n")
        for cached in (lerobot._info, lerobot._listed, lerobot._table):
            cached.cache_clear()
        for first, last in lerobot.spans(folder):
            list(lerobot.episodes(folder, first, last))

    return make, check


TARGETS = (
    *map(_format, RECORDS),
    *map(_file, ("jsonl", "json", "tar", "parquet", "arrow")),
    Target("record.conversation", (ConfigError, RecordError), _conversations),
    Target("record.lerobot_meta", (RecordError, ConfigError), _lerobot),
)
