"""Invoices, forms and letters of invented words, with the questions that one asks about such papers."""

import random
import string
from dataclasses import dataclass

from PIL import Image, ImageDraw

from qwen2vl_agent.data.example import Example
from qwen2vl_agent.data.synthetic.canvas import Item, to_grid
from qwen2vl_agent.data.synthetic.fonts import bundled, font
from qwen2vl_agent.data.synthetic.reading import box_text, conversation, read
from qwen2vl_agent.data.synthetic.strings import word
from qwen2vl_agent.schema.geometry import RESIZE_FACTOR

MONTHS = ("January", "March", "April", "May", "June", "July", "August", "October", "November", "December")
KINDS = {"Invoice": ("Invoice number", "Customer"), "Form": ("Reference", "Applicant"), "Letter": ("Our sign", "To")}
"""Kinds of paper, and what they call their number and their addressee."""
INK = (24, 24, 28)
MARGIN = 18


@dataclass(frozen=True, slots=True)
class Document:
    """A paper's picture, its lines, its fields, and what is charged, if anything."""

    image: Image.Image
    items: tuple[Item, ...]
    """Lines from top to bottom."""
    fields: dict[str, str]
    places: dict[str, Item]
    """Of the fields' values."""
    charges: dict[str, int]
    """In cents, by what they are for; of an invoice only."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DocumentSource:
    """Papers with questions, now and then read from top to bottom first."""

    name: str = "documents"
    seed: int = 0
    columns: int = 14
    rows: int = 14
    """Tokens of a picture."""
    questions: int = 5
    transcribe: float = 0.4
    """Share of papers that are read whole."""

    def example(self, index: int) -> Example:
        rng = random.Random(f"{self.seed}/{self.name}/{index}")
        paper = random_document(rng, self.columns * RESIZE_FACTOR, self.rows * RESIZE_FACTOR)
        turns = questions(paper)
        chosen = rng.sample(turns, min(self.questions, len(turns)))
        whole = [read(paper.items)] if rng.random() < self.transcribe else []
        return conversation(paper.image, [*whole, *chosen], self.name)


def random_document(rng: random.Random, width: int, height: int) -> Document:
    """A paper with a heading, fields, and charges or sentences."""
    kind = rng.choice(sorted(KINDS))
    number, addressee = KINDS[kind]
    fields = {
        number: f"{''.join(rng.choices(string.ascii_uppercase, k=2))}-{rng.randrange(1000, 100_000)}",
        "Date": f"{rng.randint(1, 28)} {rng.choice(MONTHS)} {rng.randint(1990, 2030)}",
        addressee: _name(rng),
        "Place": word(rng).capitalize(),
    }
    charges = {_name(rng): rng.randrange(100, 90_000) for _ in range(rng.randint(1, 4))} if kind == "Invoice" else {}
    pen = _Pen(Image.new("RGB", (width, height), tuple(rng.randint(246, 255) for _ in range(3))), rng)
    pen.line(kind, 22)
    places = {}
    for name, value in fields.items():
        places[name] = pen.field(name, value)
    pen.top += 12
    for name, cents in charges.items():
        pen.pair(name, _money(cents))
    if charges:
        total = _money(sum(charges.values()))
        places["Total"] = pen.pair("Total", total)
        fields["Total"] = total
    for _ in range(0 if charges else rng.randint(2, 6)):
        pen.line(" ".join(word(rng).lower()[:9] for _ in range(rng.randint(3, 4))).capitalize() + ".", 14)
    return Document(pen.image, tuple(pen.items), {"Kind": kind, **fields}, places, charges)


def questions(paper: Document) -> list[tuple[str, str]]:
    """All questions about a paper."""
    fields = {name: value for name, value in paper.fields.items() if name != "Kind"}
    turns = [("What kind of paper is this?", paper.fields["Kind"])]
    turns += [(f'What is given under "{name}"?', value) for name, value in fields.items()]
    turns += [(f'Where is what is given under "{name}"?', box_text(item.box)) for name, item in paper.places.items()]
    if paper.charges:
        dearest = max(paper.charges, key=paper.charges.__getitem__)
        turns += [
            ("How many things are charged?", str(len(paper.charges))),
            ("What costs most?", dearest),
            *((f"How much is {name}?", _money(cents)) for name, cents in paper.charges.items()),
        ]
    return turns


def _name(rng: random.Random) -> str:
    return f"{word(rng).capitalize()[:9]} {word(rng).capitalize()[:9]}"


def _money(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


class _Pen:
    """Writes lines from top to bottom and keeps where they are."""

    def __init__(self, image: Image.Image, rng: random.Random) -> None:
        self.image, self.items, self.top = image, list[Item](), 14.0
        self._draw, self._path = ImageDraw.Draw(image), rng.choice(bundled())
        self._size, self._gap = rng.randint(13, 16), rng.uniform(5, 12)

    def line(self, text: str, size: int) -> Item:
        """A line from the left margin."""
        item = self._write(text, MARGIN, size, "la")
        self._advance(size)
        self.items.append(item)
        return item

    def field(self, name: str, value: str) -> Item:
        """A name with a colon, and its value beside it."""
        left = MARGIN + font(self._path, self._size).getlength(f"{name}:  ")
        return self._beside(f"{name}:", value, left, "la")

    def pair(self, name: str, value: str) -> Item:
        """A name at the left margin, and its value at the right one."""
        return self._beside(name, value, self.image.width - MARGIN, "ra")

    def _beside(self, name: str, value: str, x: float, anchor: str) -> Item:
        self._write(name, MARGIN, self._size, "la")
        item = self._write(value, x, self._size, anchor)
        self._advance(self._size)
        self.items.append(Item(f"{name} {value}", (MARGIN, *item.box[1:])))
        return item

    def _write(self, text: str, x: float, size: int, anchor: str) -> Item:
        used = font(self._path, size)
        self._draw.text((x, self.top), text, fill=INK, font=used, anchor=anchor)
        box = self._draw.textbbox((x, self.top), text, font=used, anchor=anchor)
        return Item(text, to_grid(box, self.image.size))

    def _advance(self, size: int) -> None:
        self.top += size * 1.2 + self._gap
