"""Files of records (JSON Lines, JSON arrays, Parquet, tar), cut into pieces that processes can read apart.

What the records mean is not known here: `readers/` makes examples of them.
"""

import json
import re
import tarfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from qwen2vl_agent.data import lerobot
from qwen2vl_agent.data.parquet import DAMAGED, open_arrow, open_parquet
from qwen2vl_agent.schema.errors import ConfigError, MediaError, RecordError

PIECE_BYTES = 64 * 2**20
"""Of a JSON Lines file, in one piece."""
PIECE_ROWS = 65_536
"""Of a Parquet file, in one piece, rounded up to whole row groups."""
CHUNK = 2**20
ROWS = 256
"""Of a Parquet file, held at once."""
_BETWEEN = re.compile(r"[\s,]*")
KINDS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".tar": "tar",
}


DATA_KINDS = set(KINDS) - {".json"}
"""Those of a folder's files that are taken for data where there are any: JSON beside them describes them."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a file that one process reads."""

    path: str
    kind: str
    start: int
    """First byte (jsonl), row group (parquet) or episode (LeRobot); a record belongs to the piece that it begins in."""
    end: int
    """One after the last. Of a JSON array it is a step: entries start, start + end, start + 2 end … are the piece."""

    def describe(self) -> dict[str, Any]:
        """What it was at the time, for a later run to compare: the file's size and date too."""
        path = Path(self.path)
        status = (path / "meta" / "info.json" if path.is_dir() else path).stat()
        return asdict(self) | {"bytes": status.st_size, "mtime_ns": status.st_mtime_ns}


@dataclass(frozen=True, slots=True)
class Record:
    """One entry of a file."""

    value: dict[str, Any]
    where: str
    """File and place, for an error to name."""
    problem: str = ""
    """Why it cannot be read, where those after it can."""


def pieces(path: Path, piece_bytes: int = PIECE_BYTES) -> list[Piece]:
    """The pieces of a file, in order; of a folder those of all its files, by name.

    Raises:
        ConfigError: the file is missing, or its name says no kind that can be read.
    """
    if lerobot.is_dataset(path):
        return [Piece(str(path), "lerobot", first, last) for first, last in lerobot.spans(path)]
    if path.is_dir():
        below = sorted(file for file in path.rglob("*") if file.is_file() and file.suffix.lower() in KINDS)
        files = [file for file in below if file.suffix.lower() in DATA_KINDS] or below
        return [piece for file in files for piece in pieces(file, piece_bytes)]
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        raise ConfigError(
            f"{path}: expected a file named {', '.join('*' + suffix for suffix in KINDS)}, or a LeRobot folder"
        )
    if not path.is_file():
        raise ConfigError(f"{path}: no such file")
    if kind == "jsonl":
        size = path.stat().st_size
        return [Piece(str(path), kind, at, min(at + piece_bytes, size)) for at in range(0, size, piece_bytes)]
    if kind == "parquet":
        return _row_groups(path)
    if kind == "json":
        count = max(1, -(-path.stat().st_size // piece_bytes))
        return [Piece(str(path), kind, number, count) for number in range(count)]
    return [Piece(str(path), kind, 0, 1)]


def read(piece: Piece) -> Iterator[Record]:
    """The records of a piece.

    Raises:
        RecordError: the file is damaged; the message says where.
    """
    if piece.kind == "lerobot":
        return (Record(*found) for found in lerobot.episodes(Path(piece.path), piece.start, piece.end))
    return {"jsonl": _lines, "json": _array, "parquet": _rows, "arrow": _batches, "tar": _members}[piece.kind](piece)


def _lines(piece: Piece) -> Iterator[Record]:
    with open(piece.path, "rb") as file:
        if piece.start:
            file.seek(piece.start - 1)
            file.readline()  # the rest of a line that began before, or just the line end
        while (at := file.tell()) < piece.end:
            line = file.readline()
            if line.strip():
                yield _line(line, f"{piece.path}, byte {at}")


def _line(line: bytes, where: str) -> Record:
    try:
        return Record(_object(json.loads(line), where), where)
    except (ValueError, RecursionError) as error:
        return Record({}, where, f"not JSON: {error}")
    except RecordError as error:
        return Record({}, where, str(error).removeprefix(f"{where}: "))


def _array(piece: Piece) -> Iterator[Record]:
    """The objects of an array, parsed one by one: the file is never held as a whole; a single object is one record."""
    try:
        yield from _entries(piece)
    except UnicodeDecodeError as error:
        raise RecordError(f"{piece.path} is not in UTF-8: {error}") from error


def _entries(piece: Piece) -> Iterator[Record]:
    decoder, number = json.JSONDecoder(), 0
    with open(piece.path, encoding="utf-8") as file:
        text = file.read(CHUNK).lstrip("\ufeff").lstrip()
        if text.startswith("{"):
            if piece.start == 0:
                yield _line((text + file.read()).encode(), piece.path)
            return
        if not text.startswith("["):
            raise RecordError(f"{piece.path} is no JSON array or object; expected [ or {{ at its beginning")
        at = 1
        while True:
            where = f"{piece.path}, entry {number}"
            at = _BETWEEN.match(text, at).end()  # type: ignore[union-attr]
            if text.startswith("]", at):
                return
            try:
                value, at = decoder.raw_decode(text, at)
            except (ValueError, RecursionError) as error:
                more = file.read(max(CHUNK, len(text) - at))
                if not more:
                    raise RecordError(f"{where}: the file ends, or is no JSON: {error}") from error
                text, at = text[at:] + more, 0
                continue
            if number % piece.end == piece.start:
                yield Record(_object(value, where), where)
            number += 1


def _row_groups(path: Path) -> list[Piece]:
    file, made, start, rows = open_parquet(path), [], 0, 0
    for group in range(file.num_row_groups):
        rows += file.metadata.row_group(group).num_rows
        if rows >= PIECE_ROWS or group == file.num_row_groups - 1:
            made.append(Piece(str(path), "parquet", start, group + 1))
            start, rows = group + 1, 0
    return made


def _rows(piece: Piece) -> Iterator[Record]:
    file = open_parquet(Path(piece.path))
    number = sum(file.metadata.row_group(group).num_rows for group in range(piece.start))
    try:
        for batch in file.iter_batches(ROWS, row_groups=list(range(piece.start, piece.end))):
            batch.validate(full=True)
            for value in batch.to_pylist():
                yield Record(value, f"{piece.path}, row {number}")
                number += 1
    except DAMAGED as error:
        raise RecordError(f"{piece.path}, after row {number}: {error}") from error


def _batches(piece: Piece) -> Iterator[Record]:
    """The rows of a file that `datasets` saved: an Arrow stream."""
    number = 0
    try:
        for batch in open_arrow(Path(piece.path)):
            batch.validate(full=True)  # a damaged one would lead out of its memory
            for start in range(0, batch.num_rows, ROWS):
                for value in batch.slice(start, ROWS).to_pylist():
                    yield Record(value, f"{piece.path}, row {number}")
                    number += 1
    except DAMAGED as error:
        raise RecordError(f"{piece.path}, after row {number}: {error}") from error


def _members(piece: Piece) -> Iterator[Record]:
    """The samples of a WebDataset shard: files that stand together and share a name up to its first dot."""
    held: dict[str, Any] = {}
    try:
        with tarfile.open(piece.path) as archive:
            for member in archive:
                if not member.isfile():
                    continue
                folder, _, name = member.name.rpartition("/")
                stem, dot, ending = name.partition(".")
                if not stem or not dot:
                    continue
                key = f"{folder}/{stem}" if folder else stem
                if held and held["__key__"] != key:
                    yield Record(held, f"{piece.path}, sample {held['__key__']}")
                    held = {}
                content = archive.extractfile(member)
                assert content is not None, "isfile() was true"
                held |= {"__key__": key, ending.lower(): content.read()}
    except (tarfile.TarError, EOFError, OSError) as error:
        raise RecordError(f"{piece.path} is damaged or cut short: {error}") from error
    if held:
        yield Record(held, f"{piece.path}, sample {held['__key__']}")


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise RecordError(f"{where}: {type(value).__name__}; expected an object")
    return value


SKIPPABLE = (RecordError, MediaError)
"""What one bad record may raise: a build that skips goes on after it."""
