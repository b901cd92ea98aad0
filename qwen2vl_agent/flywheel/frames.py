"""What the locked vision encoder makes of episodes' screens, made once before the language model learns from them."""

from collections import defaultdict
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from qwen2vl_agent.data.image_embeds import ImageEmbeds, write_embeds
from qwen2vl_agent.schema.messages import ImagePart
from qwen2vl_agent.schema.trajectory import StoredFrame
from qwen2vl_agent.trajectory.frames import FrameStore
from qwen2vl_agent.trajectory.store import frames_folder, read_episode

SHARD = 512


def embed_frames(
    folders: Iterable[Path], model: Any, processor: Any, out: Path, known: ImageEmbeds | None = None
) -> int:
    """Write the embeds of all screens of some episodes below `out`, but of those that are `known`; how many these are.

    Screens of one size share a shard; what is there already stays, so the episodes must be the same when it goes on.
    """
    by_size: dict[tuple[int, int], dict[str, ImagePart]] = defaultdict(dict)
    for folder in folders:
        store = FrameStore(frames_folder(folder))
        for step in read_episode(folder, prompts=False).steps:
            screen = _part(store, step.frame)
            if known is None or screen not in known:
                by_size[step.frame.width, step.frame.height].setdefault(step.frame.sha256, screen)
    number, seeing = 0, model.eval()
    for size in sorted(by_size):
        rest = iter(sorted(by_size[size].items()))
        while part := list(islice(rest, SHARD)):
            write_embeds(out, number, seeing, processor.image_processor, [image for _, image in part])
            number += 1
    return sum(map(len, by_size.values()))


def _part(store: FrameStore, frame: StoredFrame) -> ImagePart:
    return ImagePart(store.path(frame), frame.sha256, (frame.width, frame.height))
