"""Tokenised documents of a whole data set: files read by memory map, with a list of them in `store.json`.

Text and pictures live apart: a document has its tokens here, and its pictures by name in a vision store.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from qwen2vl_agent.data.order import shuffled
from qwen2vl_agent.data.sources import SourceInfo
from qwen2vl_agent.data.text_shard import Document, Media, Shard
from qwen2vl_agent.data.vision_store import StoredVideo, VisionStore
from qwen2vl_agent.dialogue.encode import IGNORED, Encoded
from qwen2vl_agent.schema.errors import ConfigError, RecordError
from qwen2vl_agent.schema.messages import ImagePart, VideoPart

LIST_FILE = "store.json"
VERSION = 1


class TextStore:
    """A folder that `data build` has made. Processes that read it share its pages."""

    def __init__(self, folder: Path | str) -> None:
        """Reads the store's list.

        Raises:
            RecordError: there is no store, or its list is damaged.
            ConfigError: it was never finished, or a newer version wrote it.
        """
        self.folder = Path(folder)
        self.listed = _read_list(self.folder)
        self.info = SourceInfo.from_dict(self.listed["source"])
        counts = [shard["documents"] for shard in self.listed["shards"]]
        self._ends = np.cumsum(counts, dtype=np.int64)
        self._shards: list[Shard | None] = [None] * len(counts)

    def __len__(self) -> int:
        """Documents."""
        return int(self._ends[-1]) if len(self._ends) else 0

    @property
    def tokens(self) -> int:
        """Tokens of all documents, visual ones included."""
        return sum(shard["tokens"] for shard in self.listed["shards"])

    @property
    def vision_url(self) -> str:
        """Where its pictures lie; those that the build kept itself move with the store."""
        url = str(self.listed["vision"])
        return url if "://" in url else str(self.folder / url)

    def document(self, index: int) -> Document:
        """The document with this number. Its ids are a view into the file.

        Raises:
            RecordError: the file is missing or damaged.
            IndexError: there is no such document.
        """
        shard, place = self._place(index)
        return shard.document(place)

    def media(self, index: int) -> tuple[Media, ...]:
        """Pictures and videos of the document with this number."""
        shard, place = self._place(index)
        return shard.media(place)

    def sizes(self) -> tuple[np.ndarray, np.ndarray]:
        """[documents] tokens and patches of each, from the indexes."""
        shards = list(self.shards())
        return np.concatenate([s.lengths() for s in shards]), np.concatenate([s.patches() for s in shards])

    def shards(self) -> Iterator[Shard]:
        """Its files, in order."""
        return (self._shard(number) for number in range(len(self._shards)))

    def verify(self) -> None:
        """Reads every byte.

        Raises:
            RecordError: a file is not the one that was built.
        """
        for shard, listed in zip(self.shards(), self.listed["shards"], strict=True):
            if shard.sha256() != listed["sha256"]:
                raise RecordError(f"{shard.path} is not the file that was built; build it again")

    def check_processor(self, fingerprint: str) -> None:
        """Refuses a processor that this store was not built with.

        Raises:
            ConfigError: it was built with another tokenizer or other sizes of pictures.
        """
        if self.listed["processor"] != fingerprint:
            raise ConfigError(
                f"{self.folder} was built for another tokenizer or other sizes of pictures; build it again with "
                f"--model naming the checkpoint to train"
            )

    def _place(self, index: int) -> tuple[Shard, int]:
        if not 0 <= index < len(self):
            raise IndexError(f"document {index} of {len(self)}")
        number = int(np.searchsorted(self._ends, index, side="right"))
        before = int(self._ends[number - 1]) if number else 0
        return self._shard(number), index - before

    def _shard(self, number: int) -> Shard:
        shard = self._shards[number]
        if shard is None:
            listed = self.listed["shards"][number]
            shard = self._shards[number] = Shard(self.folder / listed["file"])
            if len(shard) != listed["documents"] or shard.tokens != listed["tokens"]:
                raise RecordError(f"{shard.path} is not the file that {LIST_FILE} lists; build it again")
        return shard

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process maps the same files."""
        return TextStore, (self.folder,)


def _read_list(folder: Path) -> dict[str, Any]:
    path = folder / LIST_FILE
    if not path.is_file():
        if (folder / "plan.json").is_file():
            raise ConfigError(f"{folder} is not finished; run the same 'data build' again, it goes on")
        raise RecordError(f"{folder} is no text store: it has no {LIST_FILE}")
    try:
        listed = json.loads(path.read_text("utf-8"))
        version = listed["version"]
        lacking = {"source", "processor", "vision", "shards"} - listed.keys()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecordError(f"{path} is damaged: {error!r}") from error
    if lacking:
        raise RecordError(f"{path} is damaged: it lacks {min(lacking)}")
    if version > VERSION:
        raise ConfigError(f"{path} has version {version}; this program reads up to {VERSION}")
    return listed


@dataclass(frozen=True)
class StoredSource:
    """The documents of a text store as a source, each epoch in another order."""

    store: TextStore
    vision: VisionStore | None = None
    """Where the pictures lie; None: the store has none."""
    seed: int = 0

    def __post_init__(self) -> None:
        if not len(self.store):
            raise ConfigError(f"{self.store.folder} has no documents")

    @property
    def name(self) -> str:
        """The source's name."""
        return self.store.info.name

    def example(self, index: int) -> "StoredExample":
        """The document with this number; after the last one they start again in another order."""
        return self.document(self._number(index))

    def document(self, number: int) -> "StoredExample":
        """The document with this number in the store."""
        return StoredExample(self, number)

    def prepare(self, index: int) -> None:
        """Begins to fetch the pictures of an example that will be asked for soon."""
        self.fetch(self._number(index))

    def fetch(self, number: int) -> None:
        """Begins to fetch the pictures of a document."""
        if self.vision is not None and self.vision.remote:
            pictures = [item for item in self.store.media(number) if item.fps is None]
            self.vision.prefetch((item.name, item.sha256) for item in pictures)

    def _number(self, index: int) -> int:
        epoch, place = divmod(index, len(self.store))
        return shuffled(place, len(self.store), self.seed, epoch)


@dataclass(frozen=True, slots=True)
class StoredExample:
    """A document of a store, encoded already but for its pictures."""

    of: StoredSource
    number: int
    weight: float = 1.0

    @property
    def source(self) -> str:
        """Name of the source."""
        return self.of.name

    def encode(self, processor: Any) -> Encoded:
        """Its tensors: those that the messages gave when the store was built.

        Raises:
            RecordError: the document is damaged.
            MediaError: a picture cannot be had, or has changed.
            ConfigError: the store was built for another processor.
        """
        self.of.store.check_processor(processor.fingerprint)
        document = self.of.store.document(self.number)
        parts = [self._part(item) for item in document.media]
        ids = document.token_ids.astype(np.int64)
        return processor.encode_again(ids.tolist(), torch.from_numpy(labels(document)), parts)

    def _part(self, item: Media) -> ImagePart | VideoPart:
        vision = self.of.vision
        if vision is None:
            raise ConfigError(f"the documents of {self.of.store.folder} have pictures; say where they lie")
        if item.fps is None:
            return ImagePart(vision.get(item.name, item.sha256), item.sha256)
        return VideoPart(StoredVideo(vision, item.name, item.sha256), item.fps)


def labels(document: Document) -> np.ndarray:
    """[T] int64: the tokens to predict in their places, -100 elsewhere."""
    made = np.full(len(document.token_ids), IGNORED, dtype=np.int64)
    for start, end in document.runs:
        made[start:end] = document.token_ids[start:end]
    return made


def runs(labels_T: np.ndarray) -> np.ndarray:
    """[R, 2] the stretches of tokens to predict. Worked example: - 7 8 - 9 -> (1, 3), (4, 5)."""
    told = np.concatenate(([0], labels_T != IGNORED, [0])).astype(np.int8)
    edges = np.diff(told)
    return np.stack((np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)), axis=1)
