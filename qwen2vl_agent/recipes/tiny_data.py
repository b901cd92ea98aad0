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
from qwen2vl_agent.data.synthetic.copying import CopyingSource
from qwen2vl_agent.data.synthetic.pages import PageSource
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
    seed = recipe.seed
    copying = CopyingSource(name="copying", seed=seed)
    if phase == "text":
        return Mixture([(copying, 1.0)], seed)
    pages = PageSource(name="drills", folder=str(folder / "pages"), seed=seed + 1, first=recipe.asked_pages, drill=1.0)
    icons = replace(pages, name="icons", only=("launcher", "shade", "calculator"))
    pointing = replace(pages, name="pointing", questions=6, transcribe=0.0, calls=0.7, drill=0.0)
    demonstrations = EpisodeSource.below(folder / "episodes", "episodes", seed)
    shares = {"know": (0.3, 0.1, 0.2, 0.2, 0.2), "act": (0.08, 0.04, 0.16, 0.22, 0.5)}[phase]
    return Mixture(list(zip((pages, icons, pointing, copying, demonstrations), shares, strict=True)), seed)
