"""What a stage learns from, as the command line names it: files of conversations, text stores, generators."""

from pathlib import Path
from typing import Any

from qwen2vl_agent.data.conversations import ConversationFile, Targets
from qwen2vl_agent.data.mixture import Mixture, Source
from qwen2vl_agent.data.sources import check_cutoff
from qwen2vl_agent.data.synthetic import registry
from qwen2vl_agent.data.text_store import StoredSource, TextStore
from qwen2vl_agent.data.vision_store import VisionStore
from qwen2vl_agent.schema.errors import ConfigError


def mixture(data: str, targets: Targets, seed: int, cutoff: str = "") -> Mixture:
    """The sources of `a.jsonl=3,stores/talk=2,synthetic:charts`, each with its share, 1 where none is given.

    `targets` is for files of conversations only: a store was built with its own, a generator's answers are learnt.

    Raises:
        ConfigError: an entry that cannot be used, or one that is younger than `cutoff` or declares no dates.
    """
    if not data:
        raise ConfigError("there is nothing to train on; give --data FILE.jsonl with conversations, or a text store")
    sources = []
    for entry in data.split(","):
        name, _, share = entry.partition("=")
        try:
            weight = float(share or 1)
        except ValueError:
            raise ConfigError(f"--data {entry}: expected NAME=SHARE with a number") from None
        sources.append((_source(name, targets, seed, cutoff), weight))
    return Mixture(tuple(sources), seed)


def _source(name: str, targets: Targets, seed: int, cutoff: str) -> Source:
    if registry.is_synthetic(name):
        return registry.source(name, seed)
    if Path(name).is_dir():
        store = TextStore(Path(name))
        check_cutoff([store.info], cutoff or None)
        return StoredSource(store, VisionStore(store.vision_url), seed)
    if cutoff:
        raise ConfigError(f"the cutoff is {cutoff}, but {name} declares no dates; build a store of it (data build)")
    return ConversationFile.open(name, targets, seed)


def with_video_cache(processor: Any, folder: str) -> Any:
    """The same processor, which decodes each video once and keeps its frames in a folder; empty: as ever."""
    if not folder:
        return processor
    from qwen2vl_agent.data.video_cache import CachedVideos, VideoCache

    return processor.with_media(videos=CachedVideos(processor.video_processor, VideoCache(folder)))
