"""The pages of MiniWoB++ as its package from PyPI brings them, and the published protocols for measuring on them."""

import importlib.util
import json
import re
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from qwen2vl_agent.envs.browser.chromium import EXTRA_HINT
from qwen2vl_agent.schema.errors import ConfigError

PREFIX = "miniwob."
"""What the ids of its tasks begin with, as in BrowserGym."""
DATA = "protocols.json"
LINKED_SHEET = re.compile(r"""href=["']([^"']+\.css)["']""")
STYLE_PICTURE = re.compile(r"""url\(\s*["']?([^"')]+?\.(?:png|gif|jpg|svg))""")


@dataclass(frozen=True, slots=True)
class Protocol:
    """How somebody has measured on MiniWoB++."""

    name: str
    source: str
    pages: tuple[str, ...]
    max_steps: int
    more_steps: dict[str, int]
    """Pages on which more steps are allowed."""
    above: float
    """An episode succeeds where the page's own reward, time left out, is more than this."""
    absent: tuple[str, ...] = ()
    """Pages of the published list that the package does not have."""
    note: str = ""
    env: dict[str, Any] = field(default_factory=dict)
    """More that the environment is made with."""

    def steps(self, page: str) -> int:
        """Steps after which an episode on `page` is cut off."""
        return self.more_steps.get(page, self.max_steps)


@cache
def protocols() -> dict[str, Protocol]:
    """The protocols by name; `all` is our own, with every page."""
    data = _data()
    pages = tuple(data["pages"])
    return {
        name: Protocol(name, **{"pages": pages, "more_steps": {}, **item, **_tuples(item)})
        for name, item in data["protocols"].items()
    }


def protocol(name: str) -> Protocol:
    """The protocol of this name.

    Raises:
        ConfigError: there is none.
    """
    if name not in protocols():
        raise ConfigError(f"there is no protocol {name!r} for MiniWoB++; there are {', '.join(protocols())}")
    return protocols()[name]


@cache
def page_names() -> tuple[str, ...]:
    """The 125 pages that the package registers as environments."""
    return tuple(_data()["pages"])


def example_of(page: str) -> str:
    """An instruction that the page may give."""
    return str(_data()["pages"][page])


def page_file(page: str) -> Path:
    """The HTML file of a page. The package itself is not imported: its own environment needs Selenium.

    Raises:
        ConfigError: the package is not installed, or has no such page.
    """
    spec = importlib.util.find_spec("miniwob")
    if spec is None or spec.origin is None:
        raise ConfigError(EXTRA_HINT)
    found = Path(spec.origin).parent / "html" / "miniwob" / f"{page}.html"
    if not found.is_file():
        raise ConfigError(f"the installed package miniwob has no page {page!r}")
    return found


@cache
def page_pictures(page: str) -> tuple[str, ...]:
    """The addresses of the pictures that a page's styles name. A browser fetches each only once something shows it."""
    file = page_file(page)
    sheets = [file, *(file.parent / link for link in LINKED_SHEET.findall(file.read_text("utf-8")))]
    named = {
        (sheet.parent / name).resolve()
        for sheet in sheets
        if sheet.is_file()
        for name in STYLE_PICTURE.findall(sheet.read_text("utf-8"))
    }
    return tuple(sorted(picture.as_uri() for picture in named if picture.is_file()))


def task_id(page: str) -> str:
    """`click-test` -> `miniwob.click-test`."""
    return PREFIX + page


@cache
def _data() -> dict[str, Any]:
    data: dict[str, Any] = json.loads((files(__package__) / "assets" / DATA).read_text("utf-8"))
    return data


def _tuples(item: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(item[name]) for name in ("pages", "absent") if name in item}
