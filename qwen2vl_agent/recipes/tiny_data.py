"""What the embedded model learns from: generated pictures of text, screens of virtual phones, demonstrations."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.progress import Progress

from qwen2vl_agent.agent.jobs import Job
from qwen2vl_agent.agent.rollouts import collect_episodes
from qwen2vl_agent.agent.settings import AgentConfig
from qwen2vl_agent.data.examples import EpisodeSource
from qwen2vl_agent.data.mixture import Mixture
from qwen2vl_agent.data.synthetic.changes import ChangeSource
from qwen2vl_agent.data.synthetic.comparing import ComparingSource
from qwen2vl_agent.data.synthetic.copying import CopyingSource
from qwen2vl_agent.data.synthetic.drills import DrillSource, LineSource, lines_page
from qwen2vl_agent.data.synthetic.page_store import SHARD, write_pages
from qwen2vl_agent.data.synthetic.pages import PageSource
from qwen2vl_agent.dialogue.processor import Processor
from qwen2vl_agent.envs.tasks import task_ids
from qwen2vl_agent.model.image_processor import ImageProcessor
from qwen2vl_agent.recipes.harvest import DRAWN_SIZE, harvest_pages
from qwen2vl_agent.recipes.spelled_vocabulary import spelled_tokenizer
from qwen2vl_agent.schema.errors import ConfigError

AGENT = AgentConfig(detail="bare")
MIN_PIXELS = 28 * 28
READINGS = (3, 4, 12)
"""What is asked about a screen that a solution reads from: elements, parts of rows, texts."""
COLUMNS, ROWS = 8, 17
"""Tokens of a phone's screen."""


def prepare(recipe: Any, folder: Path) -> None:
    """Record screens, and draw lines of text; what is there already stays."""
    _draw_lines(recipe, folder / "lines")
    for kind, pages, readings in (("pages", recipe.pages, False), ("readings", recipe.read_pages, True)):
        harvest_pages(
            folder / kind,
            pages=pages,
            max_pixels=recipe.max_pixels,
            seed=recipe.seed + 1,
            workers=recipe.harvest_workers,
            readings=readings,
        )


def _draw_lines(recipe: Any, folder: Path) -> None:
    for number in range(-(-recipe.line_pages // SHARD)):
        rng = random.Random(f"{recipe.seed}/lines/{number}")
        write_pages(folder, number, (lines_page(rng, COLUMNS, ROWS) for _ in range(SHARD)))


def demonstrate(recipe: Any, folder: Path) -> None:
    """Record the oracle, on half of the phones with invented words; two of three episodes have deliberate mistakes."""
    jobs = [
        Job(
            task=task,
            seed=recipe.seed * 1_000_000 + number,
            split="invented" if number % 2 else "train",
            noise=recipe.noise if number % 3 else 0.0,
            env_kwargs={"size": list(DRAWN_SIZE)},
            agent=AGENT,
        )
        for task in task_ids()
        for number in range(recipe.episodes_per_task)
    ]
    with Progress(transient=True) as progress:
        bar = progress.add_task("demonstrations", total=len(jobs))
        collection = collect_episodes(jobs, folder, recipe.harvest_workers, lambda _: progress.advance(bar))
    if collection.failures:
        job, why = collection.failures[0]
        raise ConfigError(f"{len(collection.failures)} demonstrations failed, the first: {job.name}: {why}")


def processor(recipe: Any) -> Processor:
    """The embedded model's processor: its vocabulary, its size of pictures, its agent's settings."""
    images = ImageProcessor(MIN_PIXELS, recipe.max_pixels)
    return Processor(spelled_tokenizer(), images, agent_settings=AGENT.to_json())


def mixture(recipe: Any, phase: str, folder: Path) -> Mixture:
    """The sources of a phase; weights are shares of the examples."""
    seed = recipe.seed
    copying, comparing = CopyingSource(name="copying", seed=seed), ComparingSource(name="comparing", seed=seed)
    if phase == "text":
        return Mixture([(copying, 0.85), (comparing, 0.15)], seed)
    drills = DrillSource(name="drills", folder=str(folder / "pages"), seed=seed + 1, first=recipe.asked_pages)
    icons = replace(drills, name="icons", only=("launcher", "shade", "calculator"))
    reading = PageSource(
        name="reading",
        folder=drills.folder,
        seed=seed + 1,
        first=recipe.asked_pages,
        questions=2,
        transcribe=1.0,
        places=0.0,
    )
    changes = ChangeSource(name="changes", folder=drills.folder, seed=seed + 1, first=recipe.asked_pages)
    sources: list[tuple[Any, float]]
    if phase == "know":
        lines = LineSource(name="lines", columns=COLUMNS, rows=ROWS, seed=seed + 1)
        shares = ((drills, 0.48), (icons, 0.05), (reading, 0.1), (changes, 0.02))
        sources = [*((replace(source, first=0), share) for source, share in shares), (lines, 0.25), (copying, 0.1)]
    else:
        kept_lines = replace(drills, name="lines", folder=str(folder / "lines"), first=recipe.line_pages)
        texts = replace(drills, name="texts", folder=str(folder / "readings"), first=recipe.read_pages, most=READINGS)
        episodes = EpisodeSource.below(folder / "episodes", "episodes", seed)
        sources = [(episodes, 0.36), (drills, 0.24), (texts, 0.18), (icons, 0.02), (kept_lines, 0.05)]
        sources += [(reading, 0.02), (copying, 0.08), (comparing, 0.04), (changes, 0.01)]
    return Mixture(sources, seed)
