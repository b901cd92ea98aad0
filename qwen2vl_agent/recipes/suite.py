"""A small model that learns a suite of gymnasium environments from the episodes of its solutions, from nothing.

Hardware: one CPU core, minutes. What it learns from is what it will see: the pictures, and of the words only the task.
The figures that it then reaches stand in docs/design/0011-gymnasium.md.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.progress import Progress

from qwen2vl_agent.recipes.exporting import export
from qwen2vl_agent.recipes.overrides import replaced
from qwen2vl_agent.recipes.small_training import SmallRecipe
from qwen2vl_agent.schema.errors import ConfigError

DRAWN = 500_000
"""Seeds of the episodes to learn from begin so far behind those that `bench` measures with."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SuiteRecipe(SmallRecipe):
    """What `train suite` does; any field can be set from the command line."""

    suite: str = "cards.number_line"
    """A suite, a task, or an environment of `bench` that has a solution."""
    episodes: int = 600
    """Of every task."""
    noise: float = 0.0
    """Share of deliberate mistakes, so that recoveries are shown."""
    begun: float = 0.0
    """Share of the examples that are an episode's first call alone. Where all is read and thought out at first and then
    repeated, whole episodes are mostly repetition, and a model learns to repeat before it looks."""
    max_pixels: int = 20_000
    """Of a picture: a square one becomes 140 x 140, 25 tokens."""
    workers: int = 2
    """Processes that record."""

    def __post_init__(self) -> None:
        SmallRecipe.__post_init__(self)
        if self.begun > 1:
            raise ConfigError(f"begun is {self.begun}; expected a share, 0 to 1")


def train(*, out: Path, resume: bool = False, overrides: dict[str, str] | None = None) -> Path:
    """Records the solutions and trains on them; gives the finished model's folder, `out/suite`.

    Raises:
        ConfigError: an override is of no field of `SuiteRecipe` or not of its type, no such suite, or no solution.
    """
    from qwen2vl_agent.data.examples import EpisodeSource
    from qwen2vl_agent.data.mixture import Mixture
    from qwen2vl_agent.recipes.small_training import fit, make_model

    recipe = replaced(SuiteRecipe(), "suite", overrides or {})
    demonstrate(recipe, out / "episodes")
    shown = EpisodeSource.below(out / "episodes", "episodes", recipe.seed, ("success", "failure"))
    sources = [(shown, 1.0 - recipe.begun), (replace(shown, name="begun", first_steps=1), recipe.begun)]
    processor = make_processor(recipe)
    model = make_model(recipe, processor)
    mixture = Mixture([source for source in sources if source[1] > 0], recipe.seed)
    learned = fit(recipe, model, processor, mixture, out, resume)
    return export(learned, out / "suite")


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
        for number in range(recipe.episodes)
        for task in suite.tasks
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
