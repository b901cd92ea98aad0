"""Pictures of lines in many scripts and fonts: to be read, to be found, and to be read within a box."""

import random
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from qwen2vl_agent.data.example import Example
from qwen2vl_agent.data.synthetic.canvas import Item, ink_and_paper, to_grid
from qwen2vl_agent.data.synthetic.fonts import font, fonts_of, writable
from qwen2vl_agent.data.synthetic.reading import box_text, conversation, read
from qwen2vl_agent.data.synthetic.scripts import SCRIPTS
from qwen2vl_agent.schema.bidi import as_seen
from qwen2vl_agent.schema.geometry import RESIZE_FACTOR

READ_ALL = "Read the text."
SIZES = (16, 34)
"""Pixels of a font, from and to."""
SHORTER = 0.8
"""What is left of a font's size each time that a line does not fit."""


@dataclass(frozen=True, slots=True)
class Page:
    """A picture, its lines from top to bottom, and the script of each."""

    image: Image.Image
    items: tuple[Item, ...]
    scripts: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class TextSource:
    """Pages of lines, each line in a script and a font of its own. What a script's fonts are is up to the machine."""

    name: str = "texts"
    seed: int = 0
    columns: int = 12
    rows: int = 8
    """Tokens of a picture."""
    lines: tuple[int, int] = (1, 6)
    """From and to."""
    scripts: tuple[str, ...] = ()
    """Scripts to write; empty: all for which there is a font."""
    questions: int = 4
    held_out: bool = False
    """Whether every word is one that training never shows."""

    def example(self, index: int) -> Example:
        rng = random.Random(f"{self.seed}/{self.name}/{index}")
        scripts = self.scripts or writable()
        drawn = text_page(rng, self.columns, self.rows, self.lines, scripts, held_out=self.held_out)
        turns = questions(drawn)
        chosen = rng.sample(turns, min(self.questions, len(turns)))
        return conversation(drawn.image, [(READ_ALL, read(drawn.items)[1]), *chosen], self.name)


def text_page(
    rng: random.Random, columns: int, rows: int, lines: tuple[int, int], scripts: tuple[str, ...], *, held_out: bool
) -> Page:
    """A page of `columns` x `rows` tokens with so many lines, from and to, fewer where they find no room."""
    size = columns * RESIZE_FACTOR, rows * RESIZE_FACTOR
    ink, paper = ink_and_paper(rng)
    image = Image.new("RGB", size, paper)
    draw, top = ImageDraw.Draw(image), rng.uniform(2, 10)
    items: list[Item] = []
    written: list[str] = []
    for _ in range(rng.randint(*lines)):
        script = rng.choice(scripts)
        text = SCRIPTS[script].line(rng, held_out=held_out)
        used = _fitting(rng.choice(fonts_of(script)), rng.randint(*SIZES), as_seen(text), size[0] - 8)
        bottom = top + sum(used.getmetrics())
        if bottom > size[1] and items:
            break
        left = rng.uniform(4, max(4.0, size[0] - 4 - used.getlength(as_seen(text))))
        draw.text((left, top), as_seen(text), fill=ink, font=used)
        items.append(Item(text, to_grid(draw.textbbox((left, top), as_seen(text), font=used), size)))
        written.append(script)
        top = bottom + rng.uniform(0, 14)
    return Page(image, tuple(items), tuple(written))


def questions(drawn: Page) -> list[tuple[str, str]]:
    """Where each line is, what is written in its box, and in which script."""
    texts = [item.text for item in drawn.items]
    turns = []
    for item, script in zip(drawn.items, drawn.scripts, strict=True):
        turns.append((f"What is written in {box_text(item.box)}?", item.text))
        if texts.count(item.text) == 1:
            turns.append((f'Where is "{item.text}"?', box_text(item.box)))
            turns.append((f'In which script is "{item.text}" written?', SCRIPTS[script].told))
    return turns


def _fitting(path: str, size: int, text: str, room: float) -> ImageFont.FreeTypeFont:
    """The font at this size, or at the largest smaller one at which the text fits."""
    while (used := font(path, size)).getlength(text) > room and size > 8:
        size = int(size * SHORTER)
    return used
