"""A mixture of text stores, and what is in them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qwen2vl_agent.data.mixture import Mixture
from qwen2vl_agent.data.sources import check_cutoff
from qwen2vl_agent.data.text_store import StoredSource, TextStore
from qwen2vl_agent.data.vision_store import FetchSettings, VisionStore
from qwen2vl_agent.schema.geometry import MERGE_SIZE


def stored_mixture(
    weights: Mapping[Path, float], seed: int = 0, cutoff: str | None = None, fetch: FetchSettings | None = None
) -> Mixture:
    """Stores with their shares of the examples; none may have content younger than `cutoff`.

    Raises:
        ConfigError: a store is too young, unfinished or empty, or two have the same name.
        RecordError: a store is missing or damaged.
    """
    stores = {folder: TextStore(folder) for folder in weights}
    check_cutoff([store.info for store in stores.values()], cutoff)
    sources = [
        (StoredSource(store, VisionStore(store.vision_url, fetch), seed), weights[folder])
        for folder, store in stores.items()
    ]
    return Mixture(sources, seed)


@dataclass(frozen=True, slots=True)
class Counts:
    """What a store holds."""

    documents: int
    tokens: int
    visual_tokens: int
    targets: int
    images: int
    videos: int
    skipped: int
    """Records that the build left out."""
    median_length: int
    longest: int
    """Tokens of a document."""

    def to_dict(self) -> dict[str, Any]:
        """Its fields."""
        return {name: getattr(self, name) for name in self.__slots__}


def count(store: TextStore) -> Counts:
    """Counts a store from its indexes; no token is read.

    Raises:
        RecordError: a file is missing or damaged.
    """
    lengths, visual, targets, images, videos = [], 0, 0, 0, 0
    for shard in store.shards():
        lengths.append(shard.lengths())
        media = shard.media_table()
        visual += int(media["grid"].astype(np.int64).prod(1).sum()) // MERGE_SIZE**2
        videos += int(media["video"].sum())
        images += len(media) - int(media["video"].sum())
        targets += shard.target_count()
    every = np.concatenate(lengths)
    return Counts(
        documents=len(store),
        tokens=store.tokens,
        visual_tokens=visual,
        targets=targets,
        images=images,
        videos=videos,
        skipped=int(store.listed.get("skipped", 0)),
        median_length=int(np.median(every)),
        longest=int(every.max()),
    )
