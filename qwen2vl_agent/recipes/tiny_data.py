"""What the embedded model learns from: generated pictures of text, screens of virtual phones, demonstrations."""

import random
from collections.abc import Callable
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
from qwen2vl_agent.envs.suite import Suite
from qwen2vl_agent.envs.suites import get_suite
from qwen2vl_agent.model.image_processor import ImageProcessor
from qwen2vl_agent.recipes.harvest import DRAWN_SIZE, harvest_pages
from qwen2vl_agent.recipes.spelled_vocabulary import spelled_tokenizer
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.schema.trajectory import Outcome

AGENT = AgentConfig(detail="bare")
MIN_PIXELS = 28 * 28
READINGS = (3, 4, 12)
"""What is asked about a screen that a solution reads from: elements, parts of rows, texts."""
SHARES = {
    "text": {"copying": 0.85, "comparing": 0.15},
    "know": {
        "drills": 0.36,
        "texts": 0.2,
        "icons": 0.04,
        "reading": 0.08,
        "changes": 0.02,
        "lines": 0.22,
        "copying": 0.08,
    },
    "act": {
        "episodes": 0.36,
        "drills": 0.24,
        "texts": 0.18,
        "icons": 0.02,
        "lines": 0.05,
        "reading": 0.02,
        "copying": 0.08,
        "comparing": 0.06,
        "changes": 0.01,
    },
    "correct": {
        "corrections": 0.3,
        "episodes": 0.14,
        "drills": 0.18,
        "texts": 0.24,
        "icons": 0.02,
        "lines": 0.06,
        "reading": 0.02,
        "copying": 0.02,
        "comparing": 0.06,
    },
}
"""The sources of every phase that learns from conversations, with their shares of its examples."""
EPISODES = ("episodes", "corrections")
"""Those of them that are recorded episodes."""
CORRECTED = 500_000
"""Seeds of corrections begin so far behind those of demonstrations."""
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
            editions=tuple(suite.env_kwargs.get("edition", "first") for suite in suites(recipe)),
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
            env_kwargs=suite.env_kwargs | {"size": list(DRAWN_SIZE)},
            agent=AGENT,
        )
        for suite in suites(recipe)
        for task in suite.tasks
        for number in range(recipe.episodes_per_task)
    ]
    _record("demonstrations", jobs, folder, recipe.harvest_workers)


def correct(recipe: Any, model: Path, folder: Path) -> None:
    """Record the model in `model` with the solution beside it, on phones and words as `demonstrate` has them."""
    jobs = [
        Job(
            task=task,
            seed=recipe.seed * 1_000_000 + CORRECTED + number,
            split="invented" if number % 2 else "train",
            policy="dagger",
            model=str(model),
            env_kwargs=suite.env_kwargs | {"size": list(DRAWN_SIZE)},
            agent=AGENT,
        )
        for suite in suites(recipe)
        for task in suite.tasks
        for number in range(recipe.corrected_per_task)
    ]
    _record("corrections", jobs, folder, recipe.harvest_workers)


def suites(recipe: Any) -> list[Suite]:
    """Those that the recipe names."""
    return [get_suite(name) for name in recipe.suite.split(",")]


def _record(kind: str, jobs: list[Job], folder: Path, workers: int) -> None:
    with Progress(transient=True) as progress:
        bar = progress.add_task(kind, total=len(jobs))
        collection = collect_episodes(jobs, folder, workers, lambda _: progress.advance(bar))
    if collection.failures:
        job, why = collection.failures[0]
        raise ConfigError(f"{len(collection.failures)} {kind} failed, the first: {job.name}: {why}")


def processor(recipe: Any) -> Processor:
    """The embedded model's processor: its vocabulary, its size of pictures, its agent's settings."""
    images = ImageProcessor(MIN_PIXELS, recipe.max_pixels)
    return Processor(spelled_tokenizer(), images, agent_settings=AGENT.to_json())


def mixture(recipe: Any, phase: str, folder: Path) -> Mixture:
    """The sources of a phase with their shares."""
    sources = _sources(recipe, phase, folder)
    return Mixture([(sources[name](), share) for name, share in SHARES[phase].items()], recipe.seed)


def lessons(recipe: Any, folder: Path) -> list[tuple[Any, float]]:
    """What `correct` learns beside episodes, with shares that add up to 1: looking, reading, copying, comparing."""
    shares = {name: share for name, share in SHARES["correct"].items() if name not in EPISODES}
    sources, whole = _sources(recipe, "correct", folder), sum(shares.values())
    return [(sources[name](), share / whole) for name, share in shares.items()]


def _sources(recipe: Any, phase: str, folder: Path) -> dict[str, Callable[[], Any]]:
    """What each name in `SHARES` stands for. A locked vision encoder is asked about those pages that it has encoded."""
    seed, locked = recipe.seed, phase != "know"
    pages = {"folder": str(folder / "pages"), "seed": seed + 1, "first": recipe.asked_pages if locked else 0}
    drills = DrillSource(name="drills", **pages)
    readings, lines = str(folder / "readings"), str(folder / "lines")

    def recorded(name: str, *outcomes: Outcome) -> EpisodeSource:
        return EpisodeSource.below(folder / name, name, seed, outcomes)

    return {
        "copying": lambda: CopyingSource(name="copying", seed=seed),
        "comparing": lambda: ComparingSource(name="comparing", seed=seed),
        "drills": lambda: drills,
        "icons": lambda: replace(drills, name="icons", only=("launcher", "shade", "calculator")),
        "reading": lambda: PageSource(name="reading", questions=2, transcribe=1.0, places=0.0, **pages),
        "changes": lambda: ChangeSource(name="changes", **pages),
        "texts": lambda: replace(drills, name="texts", folder=readings, first=recipe.read_pages, most=READINGS),
        "lines": lambda: (
            replace(drills, name="lines", folder=lines, first=recipe.line_pages)
            if locked
            else LineSource(name="lines", columns=COLUMNS, rows=ROWS, seed=seed + 1)
        ),
        "episodes": lambda: recorded("episodes", "success"),
        "corrections": lambda: recorded("corrections", "success", "failure"),  # right words, however it ended
    }
