"""Encodes, once, every picture that stage 3 learns from: its vision encoder is locked."""

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from rich.progress import Progress

from qwen2vl_agent.agent.orphans import die_with_parent
from qwen2vl_agent.schema.messages import ImagePart

SHARD = 512
"""Pictures of one job: 36 MB of embeds."""


def embed(recipe: Any, model: Path, data: Path, out: Path) -> None:
    """What the encoder in `model` makes of all frames of the episodes, and of the pages that are asked about.

    What was made is kept: frames of corrections, which come later, are added behind.
    """
    jobs = _frames(data / "episodes")
    asked = {"pages": recipe.asked_pages, "readings": recipe.read_pages, "lines": recipe.line_pages}
    jobs += [(kind, part) for kind, count in asked.items() for part in _cut(range(count))]
    jobs += _frames(data / "corrections")
    with (
        ProcessPoolExecutor(recipe.harvest_workers, get_context("spawn"), die_with_parent) as pool,
        Progress(transient=True) as progress,
    ):
        bar = progress.add_task("embeds", total=len(jobs))
        shards = [
            pool.submit(_embed_shard, recipe, model, data, out, number, kind, part)
            for number, (kind, part) in enumerate(jobs)
        ]
        for shard in as_completed(shards):
            shard.result()
            progress.advance(bar)


def _frames(episodes: Path) -> list[tuple[str, Any]]:
    return [("frames", part) for part in _cut(sorted((episodes / "frames").rglob("*.png")))]


def _cut(things: Any) -> Iterator[list[Any]]:
    rest = iter(things)
    while part := list(islice(rest, SHARD)):
        yield part


def _embed_shard(recipe: Any, model: Path, data: Path, out: Path, number: int, kind: str, wanted: list[Any]) -> None:
    import torch

    from qwen2vl_agent.data.image_embeds import write_embeds
    from qwen2vl_agent.data.synthetic.page_store import PageStore
    from qwen2vl_agent.model.precision import fast_dtype
    from qwen2vl_agent.model.qwen2vl import Qwen2VL
    from qwen2vl_agent.recipes import tiny_data

    torch.set_num_threads(max(1, (os.cpu_count() or 1) // recipe.harvest_workers))
    if kind != "frames":
        store = PageStore(data / kind)
        parts = [ImagePart(store[index].image) for index in wanted]
    else:
        parts = [ImagePart(path, path.stem) for path in wanted]
    images = tiny_data.processor(recipe).image_processor
    encoder = Qwen2VL.from_pretrained(model, fast_dtype(recipe.device)).to(recipe.device)
    write_embeds(out, number, encoder, images, parts)
