"""From files of records to a text store: in parallel, and going on where an earlier run was stopped.

Each piece of the input becomes one file of the store, which appears whole or not at all. A run that is killed at any
moment leaves finished files, which the next run keeps, and drafts, which it removes.
"""

import json
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from qwen2vl_agent.data.readers import formats
from qwen2vl_agent.data.readers.media import MediaRoot
from qwen2vl_agent.data.records import PIECE_BYTES, SKIPPABLE, Piece, pieces, read
from qwen2vl_agent.data.sources import SourceInfo
from qwen2vl_agent.data.text_shard import Document, Media, Shard, ShardWriter
from qwen2vl_agent.data.text_store import LIST_FILE, VERSION, TextStore, runs
from qwen2vl_agent.data.video_cache import CachedVideos, VideoCache
from qwen2vl_agent.data.vision_store import StoredVideo, VisionStore
from qwen2vl_agent.dialogue.processor import Processor
from qwen2vl_agent.model.image_processor import Grid, ImageProcessor
from qwen2vl_agent.model.image_source import load_rgb
from qwen2vl_agent.schema.errors import ConfigError, RecordError
from qwen2vl_agent.schema.messages import ImagePart, VideoPart
from qwen2vl_agent.trajectory.frames import write_whole
from qwen2vl_agent.trajectory.lock import lock

PLAN_FILE = "plan.json"
MEDIA_FOLDER = "media"
"""Below the store: pictures that the records held themselves."""


@dataclass(frozen=True, kw_only=True)
class BuildSettings:
    """What to build of what."""

    inputs: tuple[Path, ...]
    """Files of records, in order."""
    format: str
    """What the records mean (`readers/formats.py`)."""
    info: SourceInfo
    model: str
    """Checkpoint whose tokenizer and sizes of pictures are used."""
    media: str | None = None
    """Folder or address that the names of pictures count from; pictures without a name are added to it."""
    video_cache: Path | None = None
    """Folder that keeps the frames of videos, so that training need not decode them again."""
    skip_bad: bool = False
    """Whether a record that cannot be used is left out and noted; else it ends the build."""
    piece_bytes: int = field(default=PIECE_BYTES)
    """Of a text file, in one file of the store."""

    def vision_url(self, out: Path) -> str:
        """Where the pictures lie."""
        media = self.media or str(out / MEDIA_FOLDER)
        return media if "://" in media else str(Path(media).resolve())


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a build is."""

    done: int
    pieces: int
    documents: int
    tokens: int
    skipped: int


@dataclass(frozen=True, slots=True)
class _Job:
    settings: BuildSettings
    out: Path
    number: int
    piece: Piece
    task: dict[str, Any]

    @property
    def path(self) -> Path:
        return self.out / f"shard-{self.number:05d}.text"


def build(
    settings: BuildSettings, out: Path, workers: int = 1, tell: Callable[[Progress], None] = lambda progress: None
) -> TextStore:
    """Builds the store in `out`, or goes on with it. A store that is complete is left as it is.

    Raises:
        ConfigError: settings that cannot be used, or `out` holds the build of something else.
        RecordError: a record or file is bad (and `skip_bad` is off), or another process is building there.
    """
    formats.reader(settings.format)
    out.mkdir(parents=True, exist_ok=True)
    with (out / ".lock").open("ab") as file:
        lock(file)
        jobs = _plan(settings, out)
        for draft in out.glob(".*.part"):
            draft.unlink(missing_ok=True)
        if not (out / LIST_FILE).is_file():
            done = list(_run(jobs, workers, tell))
            write_whole(out / LIST_FILE, _list(settings, out, done))
    return TextStore(out)


def _plan(settings: BuildSettings, out: Path) -> list[_Job]:
    """All pieces with what they are made of; the first run writes the plan down, and later ones must have the same."""
    found = [piece for path in settings.inputs for piece in pieces(path, settings.piece_bytes)]
    if not found:
        raise ConfigError(f"there is nothing in {', '.join(map(str, settings.inputs)) or 'no file'}")
    how = {
        "format": settings.format,
        "source": settings.info.name,
        "media": settings.media and settings.vision_url(out),
        "processor": _processor(settings.model).fingerprint,
    }
    tasks = [{**piece.describe(), **how} for piece in found]
    plan = json.dumps({"version": VERSION, "tasks": tasks}, indent=1).encode()
    path = out / PLAN_FILE
    if path.is_file() and path.read_bytes() != plan:
        raise ConfigError(f"{out} holds the build of other files, or by another model; give a new folder")
    write_whole(path, plan)
    return [
        _Job(settings, out, number, piece, task) for number, (piece, task) in enumerate(zip(found, tasks, strict=True))
    ]


def _run(jobs: list[_Job], workers: int, tell: Callable[[Progress], None]) -> Iterator[Shard]:
    """The finished files, in the order of their pieces."""
    finished = {job.number: shard for job in jobs if (shard := _finished(job)) is not None}
    rest = [job for job in jobs if job.number not in finished]
    tell(_progress(finished, len(jobs)))
    for job in _built(rest, workers):
        finished[job.number] = Shard(job.path)
        tell(_progress(finished, len(jobs)))
    return (finished[job.number] for job in jobs)


def _built(jobs: list[_Job], workers: int) -> Iterator[_Job]:
    """Each job when it is done."""
    if workers == 1 or len(jobs) < 2:
        for job in jobs:
            build_piece(job)
            yield job
        return
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    pool = ProcessPoolExecutor(min(workers, len(jobs)), multiprocessing.get_context(method), _settle)
    try:
        futures = {pool.submit(build_piece, job): job for job in jobs}
        for future in as_completed(futures):
            future.result()
            yield futures[future]
    except BrokenProcessPool as error:
        raise RecordError("a worker was killed, perhaps for memory; run the same again with fewer workers") from error
    finally:
        pool.shutdown(cancel_futures=True)


def _settle() -> None:
    torch.set_num_threads(1)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # a process per core already


def _finished(job: _Job) -> Shard | None:
    """The file of a job, where it is there, whole and made of the same input."""
    if not job.path.is_file():
        return None
    try:
        shard = Shard(job.path)
    except RecordError:
        return None  # damaged on disk: it is built again
    return shard if shard.head["task"] == job.task else None


def build_piece(job: _Job) -> None:
    """Encodes one piece and writes its file."""
    settings, parent = job.settings, multiprocessing.parent_process()
    encode = _Encoding(settings, job.out)
    writer, skipped = ShardWriter(), []
    read_record = formats.reader(settings.format)
    for record in read(job.piece):
        if parent is not None and not parent.is_alive():
            os._exit(1)  # orphaned: another run may have begun
        try:
            example = formats.example(record, read_record, encode.root, settings.info.name)
            writer.add(encode(example))
        except SKIPPABLE as error:
            told = str(error) if record.where in str(error) else f"{record.where}: {error}"
            if not settings.skip_bad:
                raise type(error)(f"{told}; --skip-bad leaves such records out") from error
            skipped.append(told)
    writer.write(job.path, job.task, skipped)


class _Encoding:
    """Makes documents of examples. Pictures are opened and measured, but not cut into patches."""

    def __init__(self, settings: BuildSettings, out: Path) -> None:
        self.vision = VisionStore(settings.vision_url(out))
        self.root = MediaRoot(self.vision)
        processor = _processor(settings.model)
        cache = VideoCache(settings.video_cache) if settings.video_cache else None
        videos = CachedVideos(processor.video_processor, cache, measure=True)
        self._processor = processor.with_media(_Measure(processor.image_processor), videos)

    def __call__(self, example: Any) -> Document:
        encoded = example.encode(self._processor)
        parts = [part for message in example.messages for part in message.parts]
        grids = {ImagePart: _grids(encoded.inputs.image_grid_thw), VideoPart: _grids(encoded.inputs.video_grid_thw)}
        media = tuple(
            self._media(part, next(grids[type(part)])) for part in parts if isinstance(part, ImagePart | VideoPart)
        )
        self.root.names.clear()
        return Document(encoded.inputs.input_ids.numpy(), runs(encoded.labels.numpy()), media)

    def _media(self, part: ImagePart | VideoPart, grid: Grid) -> Media:
        if isinstance(part, ImagePart):
            digest = str(part.sha256)
            name = self.root.names.get(digest) or self.vision.put(part.image, "img")[0]
            return Media(name, digest, grid)
        if isinstance(part.video, StoredVideo):
            return Media(part.video.name, part.video.digest(), grid, part.fps)
        return Media(*self.vision.put(part.video, "video"), grid, part.fps)


@dataclass(frozen=True, slots=True)
class _Measure:
    """Opens a picture, to know that it can be, and gives its grid with no patches."""

    images: ImageProcessor

    def __call__(self, image: Any) -> tuple[Tensor, Grid]:
        picture = load_rgb(image)
        return torch.empty(0, 1176), self.images.grid(picture.width, picture.height)


def _grids(grid_thw: Tensor | None) -> Iterator[Grid]:
    return iter([] if grid_thw is None else [(t, h, w) for t, h, w in grid_thw.tolist()])


@lru_cache(maxsize=1)
def _processor(model: str) -> Processor:
    return Processor.from_pretrained(model)


def _progress(finished: dict[int, Shard], count: int) -> Progress:
    shards = finished.values()
    skipped = sum(len(shard.head["skipped"]) for shard in shards)
    return Progress(len(finished), count, sum(map(len, shards)), sum(shard.tokens for shard in shards), skipped)


def _list(settings: BuildSettings, out: Path, shards: list[Shard]) -> bytes:
    """The content of store.json."""
    skipped = [told for shard in shards for told in shard.head["skipped"]]
    if not any(map(len, shards)):
        raise RecordError(
            f"none of {len(skipped)} records could be used; the first: {(skipped or ['there are none'])[0]}"
        )
    kept = [
        {"file": shard.path.name, "documents": len(shard), "tokens": shard.tokens, "sha256": shard.sha256()}
        for shard in shards
        if len(shard)
    ]
    listed = {
        "version": VERSION,
        "source": settings.info.to_dict(),
        "format": settings.format,
        "processor": _processor(settings.model).fingerprint,
        "model": str(Path(settings.model).resolve()) if Path(settings.model).is_dir() else settings.model,
        "vision": settings.vision_url(out) if settings.media else MEDIA_FOLDER,
        "skipped": len(skipped),
        "shards": kept,
    }
    return json.dumps(listed, indent=1, ensure_ascii=False).encode()
