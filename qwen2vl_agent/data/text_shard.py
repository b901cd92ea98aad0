"""One file of tokenised documents, read by memory map.

Layout, little endian, every section on a 64-byte boundary:

    QWVLTXT1 | bytes of the head (uint32) | CRC-32 of the head (uint32) | head (JSON) | sections

    tokens        uint16 or uint32 [tokens]   ids of all documents, one after the other
    starts        int64 [documents + 1]       where each document begins in `tokens`
    checks        uint32 [documents]          CRC-32 of each document's tokens
    runs          uint32 [runs, 2]            stretches of tokens to predict, counted from the document's first token
    run_starts    int64 [documents + 1]
    media         records of `MEDIA`          pictures and videos, in the order in which the document shows them
    media_starts  int64 [documents + 1]
    names         bytes                       their names in the vision store, in UTF-8

The head holds the CRC-32 of all sections but `tokens`, which are checked when the file is opened; a document's tokens
are checked when they are read. So a damaged file is never taken for a good one.
"""

import hashlib
import json
import os
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from qwen2vl_agent.schema.errors import RecordError

MAGIC = b"QWVLTXT1"
ALIGNMENT = 64
MEDIA = np.dtype(
    [
        ("video", "u1"),
        ("grid", "<i4", (3,)),
        ("fps", "<f4"),
        ("sha256", "u1", (32,)),
        ("name", "<i8", (2,)),
    ]
)
Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Media:
    """A picture or video of a document."""

    name: str
    """In the vision store."""
    sha256: str
    """Of its bytes."""
    grid: tuple[int, int, int]
    """Frame pairs, rows and columns of patches that it becomes."""
    fps: float | None = None
    """Of a video, the sampling rate; None: it is a picture."""


@dataclass(frozen=True, slots=True)
class Document:
    """What a text store keeps of a conversation or a page."""

    token_ids: Array
    """[T] one `<|image_pad|>` or `<|video_pad|>` for each visual token."""
    runs: Array
    """[R, 2] first and last + 1 of each stretch of tokens to predict."""
    media: tuple[Media, ...]


@dataclass
class ShardWriter:
    """Gathers documents and writes them as one file, which appears whole or not at all."""

    _tokens: list[Array] = field(default_factory=list)
    _runs: list[Array] = field(default_factory=list)
    _media: list[tuple[Media, ...]] = field(default_factory=list)

    def add(self, document: Document) -> None:
        """One more document."""
        self._tokens.append(np.asarray(document.token_ids, dtype=np.uint32))
        self._runs.append(np.asarray(document.runs, dtype=np.uint32).reshape(-1, 2))
        self._media.append(document.media)

    @property
    def documents(self) -> int:
        """Documents so far."""
        return len(self._tokens)

    def write(self, path: Path, task: dict[str, Any], skipped: Sequence[str] = ()) -> None:
        """Writes the file; `task` says what it was made of, `skipped` which records it lacks, and why."""
        sections = self._sections()
        head = {
            "version": 1,
            "documents": self.documents,
            "tokens": len(sections["tokens"]),
            "dtype": sections["tokens"].dtype.name,
            "task": task,
            "skipped": list(skipped),
            "checks": {name: _crc(array) for name, array in sections.items() if name != "tokens"},
            "sections": {name: array.nbytes for name, array in sections.items()},
        }
        text = json.dumps(head, ensure_ascii=False).encode()
        partial = path.with_name(f".{path.name}.{os.getpid()}.part")  # nobody else writes to it, not even an orphan
        with partial.open("wb") as file:
            fixed = MAGIC + struct.pack("<II", len(text), zlib.crc32(text)) + text
            for data in (memoryview(fixed), *map(_bytes, sections.values())):
                file.write(data)
                file.write(bytes(-len(data) % ALIGNMENT))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        _sync_folder(path.parent)

    def _sections(self) -> dict[str, Array]:
        tokens = _joined(self._tokens, np.empty(0, np.uint32))
        small = len(tokens) == 0 or int(tokens.max()) < 2**16
        tokens = tokens.astype("<u2" if small else "<u4")
        starts = _starts([len(ids) for ids in self._tokens])
        media, names = _media_table([item for items in self._media for item in items])
        return {
            "tokens": tokens,
            "starts": starts,
            "checks": np.array([_crc(tokens[a:b]) for a, b in pairwise(starts)], "<u4"),
            "runs": _joined(self._runs, np.empty((0, 2), np.uint32)).astype("<u4"),
            "run_starts": _starts([len(runs) for runs in self._runs]),
            "media": media,
            "media_starts": _starts([len(items) for items in self._media]),
            "names": names,
        }


class Shard:
    """A file of documents, mapped into memory: processes that read it share its pages."""

    def __init__(self, path: Path) -> None:
        """Maps a file into memory and checks what it says of itself.

        Raises:
            RecordError: it is missing, cut short or damaged.
        """
        self.path = path
        self.head, first = _read_head(path)
        self._arrays: dict[str, Array] = {}
        try:
            self._map(first)
            wrong = self._wrong()
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
            raise RecordError(f"{path} is no whole file of a text store: {error!r}; build it again") from error
        if wrong:
            raise RecordError(f"{path} is damaged: {wrong}; build it again")

    def _map(self, first: int) -> None:
        path = self.path
        mapped = np.memmap(path, dtype=np.uint8, mode="r")
        kinds = {"tokens": self.head["dtype"], "checks": "<u4", "runs": "<u4", "media": MEDIA, "names": "u1"}
        for name, size in self.head["sections"].items():
            if size < 0 or first + size > len(mapped):
                raise RecordError(f"{path} is cut short in its section {name!r}; build it again")
            section = mapped[first : first + size]
            if name != "tokens" and _crc(section) != self.head["checks"][name]:
                raise RecordError(f"{path} is damaged in its section {name!r}; build it again")
            self._arrays[name] = np.asarray(section).view(kinds.get(name, "<i8"))
            first += size + -size % ALIGNMENT

    def _wrong(self) -> str | None:
        """What of the sections does not fit together; None: all does. Their checksums only say that nothing changed."""
        arrays = self._arrays
        if (
            arrays["tokens"].dtype.kind != "u"
            or len(arrays["checks"]) != len(self)
            or self.tokens != len(arrays["tokens"])
        ):
            return "its head and its tokens differ"
        places = {
            "starts": arrays["tokens"],
            "run_starts": arrays["runs"].reshape(-1, 2),
            "media_starts": arrays["media"],
        }
        for name, pointed in places.items():
            starts = arrays[name]
            if (
                len(starts) != len(self) + 1
                or starts[0] != 0
                or starts[-1] != len(pointed)
                or (np.diff(starts) < 0).any()
            ):
                return f"{name!r} leads out of its section"
        arrays["names"].tobytes().decode()
        return None

    def __len__(self) -> int:
        return int(self.head["documents"])

    @property
    def tokens(self) -> int:
        """Tokens of all documents."""
        return int(self.head["tokens"])

    def length(self, index: int) -> int:
        """Tokens of a document, without reading it."""
        start, end = self._arrays["starts"][index : index + 2]
        return int(end - start)

    def document(self, index: int) -> Document:
        """A document by its number.

        Raises:
            RecordError: its bytes are not those that were written.
        """
        start, end = self._arrays["starts"][index : index + 2]
        ids = self._arrays["tokens"][start:end]
        if _crc(ids) != self._arrays["checks"][index]:
            raise RecordError(f"{self.path}: document {index} is damaged; build this file again")
        first, last = self._arrays["run_starts"][index : index + 2]
        return Document(ids, self._arrays["runs"].reshape(-1, 2)[first:last], self.media(index))

    def media(self, index: int) -> tuple[Media, ...]:
        """A document's pictures and videos."""
        first, last = self._arrays["media_starts"][index : index + 2]
        return tuple(self._one_media(row) for row in self._arrays["media"][first:last])

    def lengths(self) -> Array:
        """[documents] tokens of each."""
        return np.diff(self._arrays["starts"])

    def patches(self) -> Array:
        """[documents] patches of each one's pictures and videos."""
        before = _starts(self._arrays["media"]["grid"].astype(np.int64).prod(1))
        return np.diff(before[self._arrays["media_starts"]])

    def target_count(self) -> int:
        """Tokens to predict, in all documents."""
        runs = self._arrays["runs"].reshape(-1, 2).astype(np.int64)
        return int((runs[:, 1] - runs[:, 0]).sum())

    def media_table(self) -> Array:
        """The pictures and videos of all documents, as records of `MEDIA`."""
        return self._arrays["media"]

    def _one_media(self, row: Any) -> Media:
        start, end = row["name"]
        name = self._arrays["names"][start:end].tobytes().decode()
        t, h, w = map(int, row["grid"])
        return Media(name, row["sha256"].tobytes().hex(), (t, h, w), float(row["fps"]) if row["video"] else None)

    def sha256(self) -> str:
        """Of the whole file."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def _read_head(path: Path) -> tuple[dict[str, Any], int]:
    """The head, and where the first section begins."""
    try:
        with path.open("rb") as file:
            fixed = file.read(len(MAGIC) + 8)
            if fixed[: len(MAGIC)] != MAGIC or len(fixed) < len(MAGIC) + 8:
                raise RecordError(f"{path} is no file of a text store")
            size, check = struct.unpack("<II", fixed[len(MAGIC) :])
            text = file.read(size)
    except OSError as error:
        raise RecordError(f"{path} cannot be read: {error}") from error
    if len(text) != size or zlib.crc32(text) != check:
        raise RecordError(f"{path} is damaged in its head; build it again")
    end = len(fixed) + size
    try:
        head = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{path} is damaged in its head: {error}; build it again") from error
    if not isinstance(head, dict):
        raise RecordError(f"{path} is damaged in its head; build it again")
    return head, end + -end % ALIGNMENT


def _bytes(array: Array) -> memoryview:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _crc(array: Array) -> int:
    return zlib.crc32(_bytes(array))


def _starts(lengths: Sequence[int] | Array) -> Array:
    """Running sums from 0. Worked example: lengths 3, 0, 2 -> 0, 3, 3, 5."""
    return np.concatenate(([0], np.cumsum(lengths, dtype=np.int64))).astype("<i8")


def _joined(arrays: list[Array], empty: Array) -> Array:
    return np.concatenate(arrays) if arrays else empty


def _media_table(items: list[Media]) -> tuple[Array, Array]:
    table = np.zeros(len(items), MEDIA)
    names = bytearray()
    for row, item in zip(table, items, strict=True):
        row["name"] = (len(names), len(names) + len(item.name.encode()))
        names += item.name.encode()
        row["video"], row["fps"] = item.fps is not None, item.fps or 0.0
        row["grid"] = item.grid
        row["sha256"] = np.frombuffer(bytes.fromhex(item.sha256), np.uint8)
    return table, np.frombuffer(bytes(names), np.uint8)


def _sync_folder(folder: Path) -> None:
    """Makes a rename last through a power cut, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
