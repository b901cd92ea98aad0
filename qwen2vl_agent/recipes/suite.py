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
from qwen2vl_agent.recipes.ways import WaySource
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
    begun: float = 0.0
    """Share of the examples that are an episode's first call alone. Where all is read and thought out at first and then
    repeated, whole episodes are mostly repetition, and a model learns to repeat before it looks."""
    ways: float = 0.0
    """Share of the examples that are maps in words (`ways.py`), for worlds whose thoughts tell one: BabyAI's."""
    other_after: int = 0
    """The finished model's agent tries another call where one was made so often on the same screen; 0: never."""
    max_pixels: int = 20_000
    """Of a picture: a square one becomes 140 x 140, 25 tokens."""
    workers: int = 2
    """Processes that record."""

    def __post_init__(self) -> None:
        SmallRecipe.__post_init__(self)
        for name in ("begun", "ways"):
            if getattr(self, name) > 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected a share, 0 to 1")


def train(*, out: Path, resume: bool = False, overrides: dict[str, str] | None = None) -> Path:
    """Records the solutions and trains on them; gives the finished model's folder, `out/suite`.

    Raises:
        ConfigError: an override is of no field of `SuiteRecipe` or not of its type, or there is no such suite, solution
            or device.
    """
    from qwen2vl_agent.model.precision import check_device
    from qwen2vl_agent.recipes.small_training import fit, make_model

    recipe = replaced(SuiteRecipe(), "suite", overrides or {})
    check_device(recipe.device)
    demonstrate(recipe, out / "episodes")
    processor = make_processor(recipe)
    model = make_model(recipe, processor)
    learned = fit(recipe, model, processor, shown(recipe, out / "episodes"), out, resume)
    return export(learned, out / "suite")


def shown(recipe: SuiteRecipe, folder: Path) -> Any:
    """The recorded episodes as a mixture in which every task shows as many screens as any other.

    Evenly drawn, tasks of many steps would take most of the time, and those are seldom the ones that are hard to see.
    """
    from qwen2vl_agent.data.examples import EpisodeSource
    from qwen2vl_agent.data.mixture import Mixture

    tasks = _by_task(folder)
    sources: list[tuple[Any, float]] = []
    for task, found in sorted(tasks.items()):
        several = len(tasks) > 1
        whole = EpisodeSource(found, task if several else "episodes", recipe.seed)
        share = len(found) / _screens(found) if several else 1.0
        begun = replace(whole, name=f"{task} begun" if several else "begun", first_steps=1)
        sources += [(whole, share * (1.0 - recipe.begun)), (begun, share * recipe.begun)]
    if recipe.ways:
        seen = (1 - recipe.ways) / sum(share for _, share in sources)
        sources = [(source, share * seen) for source, share in sources]
        sources.append((WaySource(name="ways", seed=recipe.seed), recipe.ways))
    return Mixture([source for source in sources if source[1] > 0], recipe.seed)


def _by_task(folder: Path) -> dict[str, list[Path]]:
    """The finished episodes of each task; one that chance lost was played right all the same."""
    from qwen2vl_agent.trajectory.store import episodes, read_header

    found: dict[str, list[Path]] = {}
    for episode in episodes(folder):
        header = read_header(episode)
        if header.outcome in ("success", "failure"):
            found.setdefault(header.task, []).append(episode)
    return found


def _screens(folders: list[Path]) -> int:
    from qwen2vl_agent.trajectory.lines import STEPS_FILE
    from qwen2vl_agent.trajectory.store import whole_lines

    return sum(len(whole_lines(folder / STEPS_FILE)) for folder in folders)


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
    return Processor(spelled_tokenizer(), images, agent_settings=_agent(recipe.other_after).to_json())


def _agent(other_after: int = 0) -> Any:
    from qwen2vl_agent.agent.settings import AgentConfig

    return AgentConfig(detail="bare", other_after=other_after)
