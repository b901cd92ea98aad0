"""Every on-line generator by its name: what it draws, and how to have it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from qwen2vl_agent.data.mixture import Source
from qwen2vl_agent.data.synthetic.changes import ChangeSource
from qwen2vl_agent.data.synthetic.charts import ChartSource
from qwen2vl_agent.data.synthetic.comparing import ComparingSource
from qwen2vl_agent.data.synthetic.copying import CopyingSource
from qwen2vl_agent.data.synthetic.documents import DocumentSource
from qwen2vl_agent.data.synthetic.drills import DrillSource, LineSource
from qwen2vl_agent.data.synthetic.pages import PageSource
from qwen2vl_agent.data.synthetic.shapes import ShapeSource
from qwen2vl_agent.data.synthetic.tables import TableSource
from qwen2vl_agent.data.synthetic.texts import TextSource
from qwen2vl_agent.data.synthetic.videos import EventSource, VideoSource
from qwen2vl_agent.schema.errors import ConfigError

PREFIX = "synthetic:"
"""What an address of such a source begins with: `synthetic:charts`, `synthetic:screens@FOLDER`."""


@dataclass(frozen=True, slots=True)
class Generator:
    """A kind of source that draws its own examples."""

    about: str
    make: Callable[..., Any]
    """Takes `name` and `seed`, and `folder` where screens are needed."""
    needs_screens: bool = False
    """Whether it asks about screens that were recorded before (`data screens`)."""


def _phone_lines(name: str, seed: int) -> LineSource:
    """Of a phone's size."""
    return LineSource(name=name, seed=seed, columns=8, rows=17)


GENERATORS = {
    "texts": Generator("lines in many scripts and fonts: reading, and grounding by boxes", TextSource),
    "documents": Generator("invoices, forms and letters: fields, sums, places", DocumentSource),
    "charts": Generator("bars, lines and pies: values, comparisons, sums", ChartSource),
    "tables": Generator("tables of numbers: cells, columns, places", TableSource),
    "shapes": Generator("scattered figures: counting, comparing, places", ShapeSource),
    "videos": Generator("short films of events: what, when, in which order, where", VideoSource),
    "event": Generator("films of up to minutes with one event to find", EventSource),
    "lines": Generator("lines of text as a phone's screen has them: places and texts", _phone_lines),
    "copying": Generator("texts to repeat, without pictures", CopyingSource),
    "comparing": Generator("whether two texts are the same, without pictures", ComparingSource),
    "screens": Generator("recorded screens: reading, element grounding, switches", PageSource, True),
    "drills": Generator("recorded screens: many short lines in an agent's words", DrillSource, True),
    "changes": Generator("two recorded screens in a row: what changed", ChangeSource, True),
}


def is_synthetic(given: str) -> bool:
    """Whether it names a generator."""
    return given.startswith(PREFIX)


def address(name: str) -> str:
    """How a generator is had."""
    return f"{PREFIX}{name}@FOLDER" if GENERATORS[name].needs_screens else f"{PREFIX}{name}"


def source(given: str, seed: int = 0) -> Source:
    """The generator that this names; every example is a pure function of `seed` and its number.

    Raises:
        ConfigError: there is none of this name, or it lacks its folder of screens or has one without need.
    """
    name, _, folder = given.removeprefix(PREFIX).partition("@")
    if name not in GENERATORS:
        raise ConfigError(f"there is no generator {name!r}; expected one of {', '.join(GENERATORS)}")
    generator = GENERATORS[name]
    if generator.needs_screens != bool(folder):
        told = "; data screens records one" if generator.needs_screens else ""
        raise ConfigError(f"the generator {name} is had as {address(name)}{told}")
    options = {"folder": folder} if folder else {}
    return generator.make(name=name, seed=seed, **options)
