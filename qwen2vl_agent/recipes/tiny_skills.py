"""What a model can do on screens it never saw, skill by skill, long before whole episodes are worth running."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice, pairwise
from typing import Any

from PIL import Image
from rich.table import Table

from qwen2vl_agent.agent.guards import grey_screen
from qwen2vl_agent.data.synthetic.changes import ANOTHER, asked, change
from qwen2vl_agent.data.synthetic.page_store import PageItem, RecordedPage
from qwen2vl_agent.data.synthetic.pages import askable
from qwen2vl_agent.data.synthetic.reading import SYSTEM
from qwen2vl_agent.data.synthetic.screen_lines import NOT_HERE, Line, about_place, looked_for, missing, texts_of_names
from qwen2vl_agent.dialogue.tool_call import parse_call
from qwen2vl_agent.envs.tasks.explore import random_pages
from qwen2vl_agent.envs.virtual_phone.words import Words, is_held_out
from qwen2vl_agent.model.cache import Cache
from qwen2vl_agent.recipes.harvest import record_page
from qwen2vl_agent.recipes.score import Score
from qwen2vl_agent.schema.errors import ToolCallError
from qwen2vl_agent.schema.messages import ImagePart, Message, TextPart

SIZE = (1080, 2400)
"""Pixels of the phones whose screens are asked about: those of the phones that are acted on."""
ASKED = 4
"""Elements of a screen that are looked for, and as many that are not there."""
LONGEST = 48
"""Tokens of an answer."""


@dataclass(slots=True)
class Skills:
    """The scores of one model."""

    found: Score = field(default_factory=Score)
    """Points inside the element that was looked for."""
    found_unseen: Score = field(default_factory=Score)
    """Those of them whose label holds a word that training never shows."""
    missed: Score = field(default_factory=Score)
    """Labels of other lists of the same kind, which are not there and were said not to be."""
    begun: Score = field(default_factory=Score)
    """Texts of which the first letter is right: it was at least looked for in the right place."""
    letters: Score = field(default_factory=Score)
    """Letters read of a row's second line and of labels at a place."""
    letters_unseen: Score = field(default_factory=Score)
    """Those of texts with a word that training never shows."""
    changes: Score = field(default_factory=Score)
    """Screens in a row of the same page of which it was said rightly what changed."""
    acted: Score = field(default_factory=Score)
    """Steps of the bundled solutions at which it would do the same (`tiny_acting.py`)."""
    solved: Score = field(default_factory=Score)
    """Tasks solved."""

    def to_json(self) -> dict[str, dict[str, float]]:
        """Share and number of every skill that was asked for."""
        scores = {name: getattr(self, name) for name in self.__slots__}
        return {
            name: {"share": round(score.share, 4), "asked": score.asked}
            for name, score in scores.items()
            if score.asked
        }


def table(scores: dict[str, dict[str, dict[str, float]]]) -> Table:
    """Each skill's score beside the one on grey screens."""
    made = Table("skill", "on screens", "on grey ones", "asked", title="skills on unseen screens")
    for name, score in scores["seen"].items():
        blind = scores["blind"][name]["share"]
        made.add_row(name.replace("_", " "), f"{score['share']:.1%}", f"{blind:.1%}", str(score["asked"]))
    return made


def unseen_pages(seed: int, max_pixels: int) -> Iterator[RecordedPage]:
    """Screens without end of phones whose words are partly held out, as the model sees them."""
    return (record_page(page, max_pixels) for page in random_pages(seed, SIZE, Words.test()))


def measure(model: Any, processor: Any, seed: int, pages: int, *, blind: bool = False) -> Skills:
    """Ask about so many screens; `blind` shows grey ones instead, which is the floor to beat."""
    rng, skills = random.Random(seed), Skills()
    shown = list(islice(unseen_pages(seed, processor.image_processor.max_pixels), pages))
    rows: dict[str, set[str]] = {}
    for page in shown:
        rows.setdefault(page.name, set()).update(e.item.text for e in askable(page) if e.role == "row")
    for page in shown:
        reader = _Reader(model, processor, grey_screen(page.image) if blind else page.image)
        _ask_for_elements(reader, page, rng, skills)
        _ask_for_absent(reader, page, rows[page.name], rng, skills)
        _ask_for_texts(reader, page, rng, skills)
    _ask_for_changes(model, processor, shown, blind, skills)
    return skills


class _Reader:
    """Answers about one screen, which is encoded once."""

    def __init__(self, model: Any, processor: Any, image: Image.Image) -> None:
        self._model, self._processor, self._image = model, processor, image
        self._cache = Cache()
        self._end = tuple(processor.tokenizer.encode("\n"))

    def write_on(self, given: str) -> str:
        """What the model writes after `given`, up to the end of the line or of the call."""
        messages = [
            Message("system", (TextPart(SYSTEM),)),
            Message("user", (ImagePart(self._image),)),
            Message("assistant", (TextPart(given),), closed=False),
        ]
        inputs = self._processor(messages)
        call_end = tuple(self._processor.tokenizer.encode("]}\n"))
        stop = (self._end, call_end)
        result = self._model.generate(inputs, max_new_tokens=LONGEST, stop=stop, cache=self._cache)
        return str(self._processor.decode(result.token_ids))


def _ask_for_elements(reader: _Reader, page: RecordedPage, rng: random.Random, skills: Skills) -> None:
    entries = askable(page)
    for entry in rng.sample(entries, min(ASKED, len(entries))):
        given = looked_for(entry).given
        hit = _inside(given + reader.write_on(given), entry)
        skills.found.add(hit)
        if is_held_out(entry.item.text):
            skills.found_unseen.add(hit)


def _ask_for_absent(reader: _Reader, page: RecordedPage, rows: set[str], rng: random.Random, skills: Skills) -> None:
    """For rows of other screens of the same kind."""
    others = sorted(rows - {entry.item.text for entry in page.items})
    for label in rng.sample(others, min(ASKED, len(others))):
        skills.missed.add(reader.write_on(missing(label).given).startswith(NOT_HERE))


def _ask_for_texts(reader: _Reader, page: RecordedPage, rng: random.Random, skills: Skills) -> None:
    lines: list[Line] = [about_place(entry) for entry in rng.sample(askable(page), min(2, len(askable(page))))]
    lines += texts_of_names(page)[:3]
    for line in lines:
        read, written = reader.write_on(line.given).rstrip("\n"), line.written
        right = max(0, len(written) - edit_distance(read, written))
        skills.begun.add(read[:1] == written[:1])
        skills.letters.add(right, len(written))
        if is_held_out(written):
            skills.letters_unseen.add(right, len(written))


def _ask_for_changes(model: Any, processor: Any, shown: list[RecordedPage], blind: bool, skills: Skills) -> None:
    end = tuple(processor.tokenizer.encode("<|im_end|>"))
    for before, after in pairwise(shown):
        wanted = change(before, after)
        if wanted == ANOTHER:
            continue
        seen = [replace(page, image=grey_screen(page.image) if blind else page.image) for page in (before, after)]
        result = model.generate(processor(asked(*seen)), max_new_tokens=LONGEST, stop=(end,))
        skills.changes.add(str(processor.decode(result.token_ids)).removesuffix("<|im_end|>").strip() == wanted)


def _inside(reply: str, entry: PageItem) -> bool:
    """Whether the reply taps within the element."""
    try:
        point = parse_call(reply, "keyword").call.arguments.get("point")
    except ToolCallError:
        return False
    if not (isinstance(point, list) and len(point) == 2 and all(isinstance(value, int) for value in point)):
        return False
    left, top, right, bottom = entry.item.box
    return left <= point[0] <= right and top <= point[1] <= bottom


def edit_distance(one: str, other: str) -> int:
    """Fewest letters to insert, delete or replace. Source: Levenshtein 1966, by Wagner and Fischer's table."""
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        last, row[0] = row[0], i
        for j, wanted in enumerate(other, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (letter != wanted))
    return row[-1]
