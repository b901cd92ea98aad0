"""A small model that learns a suite of gymnasium environments from the episodes of its solutions, from nothing.

Hardware: one CPU core, minutes. What it learns from is what it will see: the pictures, and of the words only the task.
The figures that it then reaches stand in docs/design/0011-gymnasium.md.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.progress import Progress

from qwen2vl_agent.recipes.exporting import export
from qwen2vl_agent.recipes.overrides import replaced
from qwen2vl_agent.recipes.small_training import SmallRecipe
from qwen2vl_agent.schema.errors import ConfigError

DRAWN = 500_000
"""Seeds of the episodes to learn from begin so far behind those that `bench` measures with."""

IN_A_ROW = 50
"""Episodes of a task that are recorded one after another: what the environment has loaded for it stays."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SuiteRecipe(SmallRecipe):
    """What `train suite` does; any field can be set from the command line."""

    suite: str = "cards.number_line"
    """A suite, a task, or an environment of `bench` that has a solution."""
    episodes: int = 600
    """Of every task."""
    noise: float = 0.0
    """Share of deliberate mistakes, so that recoveries are shown."""
    max_pixels: int = 20_000
    """Of a picture: a square one becomes 140 x 140, 25 tokens."""
    workers: int = 2
    """Processes that record."""


def train(*, out: Path, resume: bool = False, overrides: dict[str, str] | None = None) -> Path:
    """Records the solutions and trains on them; gives the finished model's folder, `out/suite`.

    Raises:
        ConfigError: an override is of no field of `SuiteRecipe` or not of its type, no such suite, or no solution.
    """
    from qwen2vl_agent.recipes.small_training import fit, make_model

    recipe = replaced(SuiteRecipe(), "suite", overrides or {})
    demonstrate(recipe, out / "episodes")
    processor = make_processor(recipe)
    model = make_model(recipe, processor)
    learned = fit(recipe, model, processor, shown(out / "episodes", recipe.seed), out, resume)
    return export(learned, out / "suite")


def shown(folder: Path, seed: int) -> Any:
    """The recorded episodes as a mixture in which every task shows as many screens as any other.

    Evenly drawn, tasks of many steps would take most of the time, and those are seldom the ones that are hard to see.
    """
    from qwen2vl_agent.data.examples import EpisodeSource
    from qwen2vl_agent.data.mixture import Mixture
    from qwen2vl_agent.trajectory.lines import STEPS_FILE
    from qwen2vl_agent.trajectory.store import episodes, read_header, whole_lines

    tasks: dict[str, list[Path]] = {}
    for episode in episodes(folder):
        header = read_header(episode)
        if header.outcome in ("success", "failure"):  # a game that chance lost was played right all the same
            tasks.setdefault(header.task, []).append(episode)
    screens = {task: sum(len(whole_lines(one / STEPS_FILE)) for one in found) for task, found in tasks.items()}
    return Mixture(
        [(EpisodeSource(found, task, seed), len(found) / screens[task]) for task, found in sorted(tasks.items())], seed
    )


def demonstrate(recipe: SuiteRecipe, folder: Path) -> None:
    """Record the solutions; what is there stays. A game that chance lost was played right all the same."""
    from qwen2vl_agent.agent.jobs import Job
    from qwen2vl_agent.agent.rollouts import collect_episodes
    from qwen2vl_agent.envs.suites import episode_seed, get_suite

    suite = get_suite(recipe.suite)
    jobs = [
        Job(
            task=task,
            seed=episode_seed(recipe.seed, DRAWN + number),
            noise=recipe.noise,
            env=suite.env,
            env_kwargs=suite.env_kwargs,
            agent=_agent(),
        )
        for begun in range(0, recipe.episodes, IN_A_ROW)
        for task in suite.tasks
        for number in range(begun, min(begun + IN_A_ROW, recipe.episodes))
    ]
    with Progress(transient=True) as progress:
        bar = progress.add_task("demonstrations", total=len(jobs))
        collection = collect_episodes(jobs, folder, recipe.workers, lambda _: progress.advance(bar))
    if collection.failures:
        job, why = collection.failures[0]
        raise ConfigError(f"{len(collection.failures)} demonstrations failed, the first: {job.name}: {why}")


def make_processor(recipe: SuiteRecipe) -> Any:
    """The embedded model's vocabulary, pictures of the recipe's size, and the settings of its agent."""
    from qwen2vl_agent.dialogue.processor import Processor
    from qwen2vl_agent.model.image_processor import ImageProcessor
    from qwen2vl_agent.recipes.spelled_vocabulary import spelled_tokenizer

    images = ImageProcessor(28 * 28, recipe.max_pixels)
    return Processor(spelled_tokenizer(), images, agent_settings=_agent().to_json())


def _agent() -> Any:
    from qwen2vl_agent.agent.settings import AgentConfig

    return AgentConfig(detail="bare")
