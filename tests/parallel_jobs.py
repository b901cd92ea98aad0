"""Small jobs of several processes: a tiny network, rows of every kind, and a way to see the processes end."""

import multiprocessing
import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
import torch.distributed as dist
from training_doubles import SPECIAL, VOCABULARY

from qwen2vl_agent.data.packing import Batch, Row, pack
from qwen2vl_agent.model.config import Qwen2VLConfig, TextConfig, VisionConfig, preset
from qwen2vl_agent.model.inputs import ModelInputs
from qwen2vl_agent.model.mrope import mrope_positions
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.training.parallel.grid import Grid, make_grid
from qwen2vl_agent.training.parallel.layout import Layout

PATIENCE_S = 900.0
NOTICED_S = 20.0
SOURCES = ("a", "b")


Heads = Literal["even", "odd", "thirds"]
"""`odd`: with a vocabulary and a vision encoder that two processes cannot share. `thirds`: for three processes, which
no picture's patches divide by."""


def small_config(tied: bool = True, heads: Heads = "even") -> Qwen2VLConfig:
    """A network that can be cut in every way."""
    width, groups = (48, 3) if heads == "thirds" else (32, 2)
    text = TextConfig(
        vocab_size=VOCABULARY + (heads == "odd"),
        hidden_size=width,
        num_hidden_layers=4,
        num_attention_heads=2 * groups,
        num_key_value_heads=groups,
        intermediate_size=48,
        mrope_section=(1, 1, 2),
        max_window_layers=4,
    )
    vision = VisionConfig(depth=2, embed_dim=width, num_heads=1 if heads == "odd" else groups)
    base = preset("tiny").with_tokens(SPECIAL)
    return replace(base, text=text, vision=vision, tie_word_embeddings=tied)


def small_network(tied: bool = True, seed: int = 0, heads: Heads = "even") -> Qwen2VL:
    """Weights that are larger than a fresh network's, so that every part matters."""
    model = Qwen2VL(small_config(tied, heads), seed=seed)
    noise = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=noise))
    return model


def row(seed: int, text: int, image: tuple[int, int] | None = None, video: tuple[int, int, int] | None = None) -> Row:
    """A sequence of `text` words, some to be predicted, with an image or a video of so many patches before them."""
    noise = torch.Generator().manual_seed(seed)
    config, ids, images, videos = small_config(), [3], [], []
    if image:
        images = [[1, *image]]
        ids += [152, *[150] * (image[0] * image[1] // 4), 153]
    if video:
        videos = [list(video)]
        ids += [152, *[151] * (video[0] * video[1] * video[2] // 4), 153]
    start = len(ids)
    ids += torch.randint(4, 140, (text,), generator=noise).tolist()
    labels = [-100] * (start + text // 3) + ids[start + text // 3 :]
    patches = [torch.randn(t * h * w, 1176, generator=noise) for t, h, w in (*images, *videos)]
    inputs = ModelInputs(
        torch.tensor(ids),
        mrope_positions(ids, images, videos, config),
        patches[0] if images else None,
        torch.tensor(images) if images else None,
        pixel_values_videos=patches[-1] if videos else None,
        video_grid_thw=torch.tensor(videos) if videos else None,
    )
    return Row(inputs, torch.tensor(labels), SOURCES[seed % 2], 1.0 + seed % 3)


def rows_of_step(step: int) -> list[Batch]:
    """Four packed rows of different lengths: pictures, words alone, a video, and in odd steps words alone again."""
    seed = 100 * step
    fourth = [row(seed + 6, 9)] if step % 2 else [row(seed + 6, 8, image=(4, 2)), row(seed + 7, 5)]
    return [
        pack([row(seed, 10 + step, image=(4, 4)), row(seed + 1, 7)]),
        pack([row(seed + 2, 12), row(seed + 3, 5 + step)]),
        pack([row(seed + 4, 9, video=(2, 4, 4)), row(seed + 5, 6, image=(2, 2))]),
        pack(fourth),
    ]


def rows_of_replica(grid: Grid, step: int) -> list[Batch] | None:
    return rows_of_step(step)[grid.replica :: grid.layout.dp] if grid.reads else None


def run_job(layout: Layout, folder: Path, work: Callable[..., Any], *args: Any) -> Any:
    """What `work(grid, *args)` gives on the first process. It runs in `layout.world` new processes."""
    folder.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    results = folder / "result.pt"
    processes = [
        context.Process(target=_join, args=(rank, layout, folder, work, args), name=f"rank-{rank}")
        for rank in range(layout.world)
    ]
    for process in processes:
        process.start()
    _await(processes)
    hung = [process.name for process in processes if process.exitcode is None]
    for process in processes:
        process.kill()
        process.join()
    told = "\n".join(path.read_text() for path in sorted(folder.glob("rank-*.txt")))
    assert not hung, f"{hung} hung\n{told}"
    assert all(process.exitcode == 0 for process in processes), told
    return torch.load(results, weights_only=False)


def _await(processes: list[Any]) -> None:
    """Until all have ended, or one has failed and the others had time to notice."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and any(process.exitcode is None for process in processes):
        if any(process.exitcode for process in processes):
            end = min(end, time.monotonic() + NOTICED_S)
        time.sleep(0.1)


def _join(rank: int, layout: Layout, folder: Path, work: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """The exit skips the interpreter's end, at which gloo's threads sometimes abort."""
    torch.set_num_threads(1)
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    store = dist.FileStore(str(folder / "store"), layout.world)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=layout.world)
    try:
        result = work(make_grid(layout), *args)
        if rank == 0:
            torch.save(result, folder / "result.pt")
        dist.barrier()
    except BaseException:
        (folder / f"rank-{rank}.txt").write_text(f"rank {rank}:\n{traceback.format_exc()}")
        os._exit(1)
    sys.stdout.flush()
    os._exit(0)
