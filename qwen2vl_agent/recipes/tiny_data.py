"""What the embedded model learns from: generated pictures of text, screens of virtual phones, demonstrations."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.progress import Progress

from qwen2vl_agent.agent.jobs import Job
from qwen2vl_agent.agent.rollouts import collect_episodes
from qwen2vl_agent.agent.settings import AgentConfig
from qwen2vl_agent.data.examples import EpisodeSource
from qwen2vl_agent.data.mixture import Mixture
from qwen2vl_agent.data.synthetic.pages import PageSource
from qwen2vl_agent.data.synthetic.reading import ReadingSource
from qwen2vl_agent.dialogue.processor import Processor
from qwen2vl_agent.envs.tasks import task_ids
from qwen2vl_agent.model.image_processor import ImageProcessor
from qwen2vl_agent.recipes.harvest import DRAWN_SIZE, harvest_pages
from qwen2vl_agent.recipes.spelled_vocabulary import spelled_tokenizer
from qwen2vl_agent.schema.errors import ConfigError

AGENT = AgentConfig(detail="brief")
MIN_PIXELS = 28 * 28


def prepare(recipe: Any, folder: Path) -> None:
    """Record screens; what is there already stays."""
    harvest_pages(
        folder / "pages",
        pages=recipe.pages,
        max_pixels=recipe.max_pixels,
        seed=recipe.seed + 1,
        workers=recipe.harvest_workers,
    )


def demonstrate(recipe: Any, folder: Path) -> None:
    """Record the oracle on tasks of the training split, half of the episodes with deliberate mistakes."""
    jobs = [
        Job(
            task=task,
            seed=recipe.seed * 1_000_000 + number,
            noise=recipe.noise if number % 2 else 0.0,
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
    seed, pages, acts = recipe.seed, str(folder / "pages"), folder / "episodes"
    letters = ReadingSource(name="letters", seed=seed, columns=(2, 2), rows=(1, 1), max_items=1, longest=3, pictures=24)
    words = ReadingSource(name="words", seed=seed, columns=(2, 4), rows=(1, 1), max_items=1, pictures=12)
    lines = ReadingSource(name="lines", seed=seed, columns=(3, 8), rows=(1, 3), max_items=3, pictures=6)
    screens = PageSource(name="screens", folder=pages, seed=seed, questions=9, transcribe=0.5, places=0.5)
    pointing = PageSource(name="pointing", folder=pages, seed=seed + 1, questions=6, transcribe=0.0, calls=0.8)
    icons = PageSource(name="icons", folder=pages, seed=seed + 2, drill=1.0, only=("launcher", "shade", "calculator"))
    drills = PageSource(name="drills", folder=pages, seed=seed + 3, drill=1.0)
    if phase == "point":
        icons = replace(icons, strip=(3, 5))
        return Mixture([(icons, 0.5), (replace(drills, strip=(2, 4)), 0.5)], seed)
    if phase == "read":
        return Mixture([(letters, 0.4), (words, 0.4), (lines, 0.2)], seed)
    if phase == "see":
        halves = replace(drills, name="halves", strip=(4, 11))
        return Mixture([(halves, 0.5), (icons, 0.15), (drills, 0.25), (screens, 0.1)], seed)
    demonstrations = EpisodeSource.below(acts, "episodes", seed)
    if phase == "know":
        return Mixture([(icons, 0.15), (drills, 0.3), (pointing, 0.15), (demonstrations, 0.4)], seed)
    return Mixture([(drills, 0.2), (pointing, 0.1), (demonstrations, 0.7)], seed)
