"""The embedded model's lessons, learned along with a round's episodes.

A language model as small as that one, which for some hundred steps learns nothing but to act, forgets to look.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qwen2vl_agent.data.synthetic.page_store import PageStore
from qwen2vl_agent.flywheel.settings import ImproveSettings
from qwen2vl_agent.recipes import tiny_data, tiny_embeds
from qwen2vl_agent.recipes.tiny import TinyRecipe
from qwen2vl_agent.schema.errors import ConfigError, RecordError

MOST_PAGES = 4096
"""Screens that are asked about: all are encoded before the first round."""


@dataclass(frozen=True, slots=True)
class Lessons:
    """Where they come from."""

    sources: list[tuple[Any, float]]
    """With shares that add up to 1."""
    embeds: Path
    """What the locked vision encoder makes of their pictures."""


def prepare_lessons(settings: ImproveSettings, out: Path) -> Lessons | None:
    """Encode the lessons' pictures below `out`, once for all rounds, since no round changes the vision encoder.

    Raises:
        ConfigError: the folder has no screens, lines of text and screens to read.
    """
    if not settings.lessons:
        return None
    data = Path(settings.lessons)
    try:
        pages, readings, lines = (len(PageStore(data / kind)) for kind in ("pages", "readings", "lines"))
    except RecordError as error:
        raise ConfigError(f"{data} has no lessons: {error}; expected the folder data/ of a `train tiny`") from error
    recipe = TinyRecipe(
        seed=settings.seed,
        asked_pages=min(pages, MOST_PAGES),
        read_pages=readings,
        line_pages=lines,
        harvest_workers=settings.workers,
    )
    tiny_embeds.embed(recipe, Path(settings.model), data, out)
    return Lessons(tiny_data.lessons(recipe, data), out)
