"""The embedded model's lesson in seeing: its vision encoder learns to say of every token what it shows."""

import random
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from qwen2vl_agent.data.marked import MarkedLoader, MarkedPages
from qwen2vl_agent.data.marked_pool import PooledLoader
from qwen2vl_agent.data.synthetic.canvas import text_canvas
from qwen2vl_agent.data.synthetic.page_store import PageItem, PageStore, RecordedPage
from qwen2vl_agent.envs.virtual_phone.icons import CODEPOINTS
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.recipes import tiny_data
from qwen2vl_agent.recipes.harvest import draw_pool
from qwen2vl_agent.schema.errors import CheckpointError
from qwen2vl_agent.schema.geometry import RESIZE_FACTOR
from qwen2vl_agent.training.config import TrainConfig
from qwen2vl_agent.training.parallel.replicas import Replicas
from qwen2vl_agent.training.token_heads import TokenReader, reading_loss
from qwen2vl_agent.training.trainer import Trainer

ICONS = {name: number for number, name in enumerate(sorted(CODEPOINTS))}
DRAWN = 0.35
"""Share of pictures that are random lines of text: the screens' own words are soon known by heart."""
MOST_LINES = 40
TAUGHT = ("model.visual.", "heads.")


def fit(recipe: Any, config: TrainConfig, model: Qwen2VL, out: Path, resume: bool, replicas: Replicas | None) -> None:
    """One process's part of the lesson; leaves the model at `out/model`."""
    processor = tiny_data.processor(recipe)
    reader = TokenReader(model, len(ICONS))
    rank, count = (replicas.rank, replicas.count) if replicas else (0, 1)
    if recipe.look_from:
        load_reading(reader, Path(recipe.look_from))
    shown, images = pictures(recipe, out.parent / "data" / "pages"), processor.image_processor
    at_once = max(1, config.batch_tokens // tokens_of_screen(recipe))
    loader: MarkedLoader | PooledLoader
    if recipe.look_pool:
        pool = out.parent / "data" / "pool"
        draw_pool(pool, shown, ICONS, recipe.look_pool, recipe.harvest_workers)
        loader = PooledLoader(pool, shown, images, at_once, config.device)
    else:
        loader = MarkedLoader(shown, images, at_once, ICONS, rank=rank, count=count)
    trainer = Trainer(
        config, reader, loader, out, processor=processor, resume=resume, replicas=replicas, loss=reading_loss
    )
    assert trainer.fit().reason == "done"


def save_reading(reader: TokenReader, path: Path) -> None:
    """What the lesson taught, in bfloat16: the vision encoder and the heads, without the language model."""
    taught = {name: value for name, value in reader.state_dict().items() if name.startswith(TAUGHT)}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: value.to(torch.bfloat16).contiguous() for name, value in taught.items()}, path)


def load_reading(reader: TokenReader, path: Path) -> None:
    """Takes what `save_reading` kept.

    Raises:
        CheckpointError: the file is missing or of other heads or another encoder.
    """
    try:
        weights = load_file(path)
        taught = {name for name in reader.state_dict() if name.startswith(TAUGHT)}
        if set(weights) != taught:
            raise ValueError(f"it has {len(weights)} tensors of another lesson; expected {len(taught)}")
        reader.load_state_dict({name: value.float() for name, value in weights.items()}, strict=False)
    except (OSError, SafetensorError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path} cannot be gone on from: {error}") from error


def pictures(recipe: Any, folder: Path) -> MarkedPages:
    """Recorded screens, and random lines of text on pictures of the same size."""
    pages = PageStore(folder)
    width, height = pages[0].image.size
    return MarkedPages(pages, Lines(width // RESIZE_FACTOR, height // RESIZE_FACTOR), recipe.seed, DRAWN)


def tokens_of_screen(recipe: Any) -> int:
    """Visual tokens of a screen."""
    return recipe.max_pixels // RESIZE_FACTOR**2


class Lines:
    """Draws pictures of random lines of text, of so many tokens."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows

    def __call__(self, rng: random.Random) -> RecordedPage:
        canvas = text_canvas(rng, columns=self.columns, rows=self.rows, max_items=MOST_LINES)
        items = tuple(PageItem(item, "text", clickable=False, checked=None) for item in canvas.items)
        return RecordedPage(canvas.image, items, "lines", canvas.marks)
