"""Gathers what the embedded model learns from: screens of virtual phones, at the size that it sees them."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from PIL import Image
from rich.progress import Progress

from qwen2vl_agent.agent.orphans import die_with_parent
from qwen2vl_agent.data.marked import MarkedPages
from qwen2vl_agent.data.marked_pool import SHARD as MARKED
from qwen2vl_agent.data.marked_pool import has_marked, write_marked
from qwen2vl_agent.data.synthetic.canvas import Item, PlacedMark
from qwen2vl_agent.data.synthetic.page_store import SHARD, PageItem, RecordedPage, has_shard, write_pages
from qwen2vl_agent.envs.tasks.explore import Page, random_pages
from qwen2vl_agent.envs.tasks.readings import read_pages
from qwen2vl_agent.envs.virtual_phone.words import Words
from qwen2vl_agent.schema.geometry import MODEL_GRID, smart_resize
from qwen2vl_agent.schema.observation import Element
from qwen2vl_agent.schema.trajectory import Split

DRAWN_SIZE = (540, 1200)
"""Pixels at which phones are drawn for demonstrations: half the size of the screens that are acted on, a quarter the
work."""
DRAWN_SIZES = (DRAWN_SIZE, (1080, 2400))
"""Those of screens to read, in turn: letters drawn large and reduced look a little different."""
SILENT_IDS = ("system:",)
"""Elements of the status and navigation bars, the same on every screen."""


def harvest_pages(
    folder: Path,
    *,
    pages: int,
    max_pixels: int,
    seed: int,
    workers: int,
    readings: bool = False,
    editions: tuple[str, ...] = ("first",),
) -> None:
    """Records `pages` screens in shards; what is there already is kept, so that a stopped harvest goes on.

    They are met while wandering; with `readings` they are those from which the bundled solutions read. `editions` are
    of the phone, and come in turn.
    """
    shards = [number for number in range(-(-pages // SHARD)) if not has_shard(folder, number)]
    jobs = [(folder, number, seed, max_pixels, readings, editions) for number in shards]
    _in_processes("screens", _harvest_shard, jobs, workers, SHARD)


def draw_pool(folder: Path, mixture: MarkedPages, icons: dict[str, int], pictures: int, workers: int) -> None:
    """Draws the first `pictures` pictures of a mixture in shards (`data/marked_pool.py`); what is there is kept."""
    shards = [number for number in range(-(-pictures // MARKED)) if not has_marked(folder, number)]
    _in_processes(
        "pictures to see", write_marked, [(folder, number, mixture, icons) for number in shards], workers, MARKED
    )


def _in_processes(name: str, work: Callable[..., None], jobs: list[tuple[Any, ...]], workers: int, each: int) -> None:
    """Does all jobs, each of which counts `each`."""
    if not jobs:
        return
    with (
        ProcessPoolExecutor(workers, get_context("spawn"), die_with_parent) as pool,
        Progress(transient=True) as progress,
    ):
        bar = progress.add_task(name, total=len(jobs) * each)
        for done in as_completed([pool.submit(work, *job) for job in jobs]):
            done.result()
            progress.advance(bar, each)


def _harvest_shard(
    folder: Path, number: int, seed: int, max_pixels: int, readings: bool, editions: tuple[str, ...]
) -> None:
    """Every second pair of shards shows invented words."""
    seed, size = seed * 100_003 + number, DRAWN_SIZES[number % len(DRAWN_SIZES)]
    split: Split = "invented" if number // len(DRAWN_SIZES) % 2 else "train"
    edition = editions[number // (2 * len(DRAWN_SIZES)) % len(editions)]
    if readings:
        met = read_pages(seed, size, split, edition)
    else:
        met = random_pages(seed, size, Words.of(split, seed), edition)
    write_pages(folder, number, _recorded(met, max_pixels))


def _recorded(pages: Iterable[Page], max_pixels: int) -> Iterator[RecordedPage]:
    for page in pages:
        yield record_page(page, max_pixels)


def record_page(page: Page, max_pixels: int) -> RecordedPage:
    """The page as the model sees it."""
    width, height = page.image.size
    new_height, new_width = smart_resize(height, width, min_pixels=0, max_pixels=max_pixels)
    small = page.image.resize((new_width, new_height), Image.Resampling.BICUBIC)
    items = [_item(element, page.image.size) for element in page.elements if _tells(element)]
    marks = (PlacedMark(name, int(x * new_width / width), int(y * new_height / height)) for name, x, y in page.marks)
    return RecordedPage(small, tuple(items), page.page, tuple(mark for mark in marks if _inside(mark, small.size)))


def _inside(mark: PlacedMark, size: tuple[int, int]) -> bool:
    return 0 <= mark.x < size[0] and 0 <= mark.y < size[1]


def _tells(element: Element) -> bool:
    return bool(element.text) and not element.resource_id.startswith(SILENT_IDS) and element.role != "key"


def _item(element: Element, size: tuple[int, int]) -> PageItem:
    box = tuple(
        min(MODEL_GRID - 1, value * MODEL_GRID // side) for value, side in zip(element.bounds, size * 2, strict=True)
    )
    left, top, right, bottom = box
    return PageItem(Item(element.text, (left, top, right, bottom)), element.role, element.clickable, element.checked)
