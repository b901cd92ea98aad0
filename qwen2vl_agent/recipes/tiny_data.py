"""What the embedded model learns from: generated pictures of text, screens of virtual phones, demonstrations."""

from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from rich.progress import Progress

from qwen2vl_agent.agent.jobs import Job
from qwen2vl_agent.agent.rollouts import collect_episodes
from qwen2vl_agent.agent.settings import AgentConfig
from qwen2vl_agent.data.examples import EpisodeSource
from qwen2vl_agent.data.mixture import Mixture
from qwen2vl_agent.data.synthetic.page_store import PageStore
from qwen2vl_agent.data.synthetic.pages import READ_SCREEN, PageSource
from qwen2vl_agent.data.synthetic.reading import READ, READ_PLACES, ReadingSource
from qwen2vl_agent.data.synthetic.strings import label
from qwen2vl_agent.dialogue.processor import Processor
from qwen2vl_agent.dialogue.tool_call import render_call
from qwen2vl_agent.dialogue.tool_prompt import tool_prompt
from qwen2vl_agent.envs.tasks import make_task, task_ids
from qwen2vl_agent.model.image_processor import ImageProcessor
from qwen2vl_agent.model.tokenizer import train_tokenizer
from qwen2vl_agent.recipes.harvest import DRAWN_SIZE, harvest_pages
from qwen2vl_agent.schema.actions import PHONE_ACTIONS
from qwen2vl_agent.schema.tools import ToolCall, tool_spec

AGENT = AgentConfig(detail="brief")
MIN_PIXELS = 28 * 28
GOALS_PER_TASK = 40


def prepare(recipe: Any, folder: Path) -> None:
    """Record screens and learn the vocabulary; what is there already stays."""
    harvest_pages(
        folder / "pages",
        pages=recipe.pages,
        max_pixels=recipe.max_pixels,
        seed=recipe.seed + 1,
        workers=recipe.harvest_workers,
    )
    if not (folder / "processor" / "tokenizer.json").is_file():
        learn_vocabulary(recipe, folder).save_pretrained(folder / "processor")


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
        collect_episodes(jobs, folder, recipe.harvest_workers, on_result=lambda _: progress.advance(bar))


def learn_vocabulary(recipe: Any, folder: Path) -> Processor:
    """A vocabulary of the calls, the phone's own words and pieces of any others."""
    tokenizer = train_tokenizer(_texts(folder, Random(recipe.seed)), recipe.vocabulary)
    return Processor(tokenizer, ImageProcessor(MIN_PIXELS, recipe.max_pixels), agent_settings=AGENT.to_json())


def _texts(folder: Path, rng: Random) -> list[str]:
    prompt = tool_prompt([tool_spec(action) for action in PHONE_ACTIONS], "keyword", detail="brief")
    call = render_call("", ToolCall("tap", {"point": [0, 0]}), "keyword")
    texts = [prompt, READ, READ_PLACES, READ_SCREEN, 'Where is "', "What is at (", 'Is "', '" on?', "Yes.", "No."] * 200
    texts += [call] * 2000
    texts += [make_task(task, seed, "train").goal for task in task_ids() for seed in range(GOALS_PER_TASK)]
    for page in islice(PageStore(folder / "pages"), 0, None, 10):
        texts += [f'Tap "{entry.item.text}".' for entry in page.items]
    return texts + [label(rng) for _ in range(20_000)]


def processor(recipe: Any, folder: Path) -> Processor:
    """The processor that `prepare` made."""
    return Processor.from_pretrained(folder / "processor")


def mixture(recipe: Any, stage: str, folder: Path) -> Mixture:
    """The sources of a stage; weights are shares of the examples."""
    seed, pages, acts = recipe.seed, str(folder / "pages"), folder / "episodes"
    words = ReadingSource(name="words", seed=seed, columns=(2, 4), rows=(1, 1), max_items=1)
    lines = ReadingSource(name="lines", seed=seed, columns=(3, 8), rows=(1, 3), max_items=3)
    canvases = ReadingSource(
        name="canvases", seed=seed, columns=(5, 8), rows=(5, 12), max_items=8, places=0.6, questions=6, transcribe=0.5
    )
    screens = PageSource(name="screens", folder=pages, seed=seed, questions=7, transcribe=0.6, places=0.6)
    pointing = PageSource(name="pointing", folder=pages, seed=seed + 1, questions=8, transcribe=0.2, calls=0.5)
    if stage == "stage1":
        return Mixture([(words, 0.3), (lines, 0.2), (canvases, 0.1), (screens, 0.4)], seed)
    episode_source = EpisodeSource.below(acts, "episodes", seed)
    if stage == "stage2":
        return Mixture([(lines, 0.1), (canvases, 0.1), (pointing, 0.5), (episode_source, 0.3)], seed)
    return Mixture([(pointing, 0.3), (episode_source, 0.7)], seed)
