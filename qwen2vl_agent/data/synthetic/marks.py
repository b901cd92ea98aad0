"""What every token of a picture shows: letters, icon, and the element that it belongs to.

A language model that reads a picture has to find the token and to understand it, both from one word of praise. Told
token by token what is there, a vision encoder learns to read in minutes (`docs/log.md`). The published model does not
begin from nothing either: its encoder was taught on pictures and their captions before (technical report §2.2).
"""

import string
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np
import numpy.typing as npt

from qwen2vl_agent.data.synthetic.canvas import Item
from qwen2vl_agent.data.synthetic.page_store import PageItem, RecordedPage
from qwen2vl_agent.schema.geometry import MERGE_SIZE, MODEL_GRID, PATCH_SIZE, RESIZE_FACTOR

LETTERS = string.digits + string.ascii_letters + string.punctuation + "…·×÷−°•’"
BLANK, OTHER = 0, 1
"""Classes of a place without a letter, and of a letter that `LETTERS` lacks."""
LETTER_CLASSES = 2 + len(LETTERS)
ROLES = ("button", "field", "icon", "image", "key", "radio", "row", "switch", "tab", "text")
ABSENT = -1
"""No target: the token belongs to no element."""
SLOTS = 4
"""Strips of 3.5 pixels in a patch: a letter belongs to the strip that holds its middle, or to the next if taken.

Counting letters from the left instead is learned far more slowly: each then depends on all before it."""
PATCHES = MERGE_SIZE**2
"""Of a token."""
DIGITS = 6
"""Of an element's middle on the model's grid: three for x, three for y."""
KINDS = 2
"""Of texts: what names an element, and what else is written."""
SPELLED = 8
"""Most letters of a text in a token."""
EDGE = 12
"""Pixels by which letters may stand out of their text's box, which is measured in whole pixels of a small phone."""
COUNTED = 24
"""How far into a text a token is told to stand."""
_CLASS = {letter: 2 + number for number, letter in enumerate(LETTERS)}
_ROLE = {role: number for number, role in enumerate(ROLES)}

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TokenTargets:
    """Classes for each of a picture's N tokens, in the order of the language model."""

    letters: Ints
    """[N, 16] four slots for each of the token's four patches."""
    icon: Ints
    """[N] 0: none, else 1 + the icon's number."""
    role: Ints
    """[N] of the element that the token belongs to, `ABSENT` where there is none; so are the three below."""
    state: Ints
    """[N] 0: nothing to switch, 1: off, 2: on."""
    place: Ints
    """[N, 6] digits of the element's middle: what a tap on it says."""
    bag: Ints
    """[N, LETTER_CLASSES] 1 for every letter of the texts that the token shows a part of: what a search compares."""
    label: Ints
    """[N, LETTER_CLASSES] 1 for every letter of the name of the row or button that the token belongs to."""
    spelled: Ints
    """[N, KINDS x SPELLED] what the token shows of a text of each kind, letter by letter; `ABSENT`: nothing."""
    begun: Ints
    """[N, KINDS] which letter of the text that is, the first of the token."""


def letter_class(letter: str) -> int:
    """The class of a letter."""
    return _CLASS.get(letter, OTHER)


def token_targets(page: RecordedPage, icons: dict[str, int]) -> TokenTargets:
    """What the tokens of a page show; `icons` numbers the icons that are told apart."""
    columns, rows = page.image.width // RESIZE_FACTOR, page.image.height // RESIZE_FACTOR
    letters, icon = _marked(page, columns, rows, icons)
    owner = _owners(page.items, columns, rows)
    role, state = np.full(len(owner), ABSENT), np.full(len(owner), ABSENT)
    place = np.full((len(owner), DIGITS), ABSENT)
    for number, entry in enumerate(page.items):
        own = owner == number
        role[own] = _ROLE.get(entry.role, ABSENT)
        state[own] = 0 if entry.checked is None else 1 + entry.checked
        place[own] = _digits(entry)
    written = [where_written(page, entry.item) for entry in page.items]
    naming = [names_something(entry, page) for entry in page.items]
    bag, label = _bags(page, written, len(owner)), _labels(list(compress(page.items, naming)), columns, rows)
    return TokenTargets(letters, icon, role, state, place, bag, label, *_spelled(page, written, naming, len(owner)))


def names_something(entry: PageItem, page: RecordedPage) -> bool:
    """Whether an element's text is the name of a button or a row: of what takes a touch, or has other texts in it."""
    return entry.clickable or bool(texts_inside(entry, page))


def texts_inside(entry: PageItem, page: RecordedPage) -> list[Item]:
    """What else is written in an element, such as a row's second line."""
    return [other.item for other in page.items if other.role == "text" and entry.holds(other)]


def _letters_of(text: str) -> list[int]:
    """The classes of a text's letters, each once."""
    return sorted({letter_class(letter) for letter in text if letter != " "})


def _bags(page: RecordedPage, written: list[tuple[int, ...]], tokens: int) -> Ints:
    """All letters of a text, at each of the tokens that it runs over."""
    bags = np.zeros((tokens, LETTER_CLASSES), np.int64)
    for entry, places in zip(page.items, written, strict=True):
        shown = sorted({token for token in places if token != ABSENT})
        bags[np.ix_(shown, _letters_of(entry.item.text))] = 1
    return bags


def _labels(named: list[PageItem], columns: int, rows: int) -> Ints:
    """All letters of the name of the largest of the elements that have one, at each of its tokens."""
    owner = _owners(named, columns, rows, largest=True)
    labels = np.zeros((len(owner), LETTER_CLASSES), np.int64)
    for number, entry in enumerate(named):
        labels[np.ix_(owner == number, _letters_of(entry.item.text))] = 1
    return labels


def _spelled(page: RecordedPage, written: list[tuple[int, ...]], naming: list[bool], tokens: int) -> tuple[Ints, Ints]:
    """What each token shows of a name and of another text, and how far into it that is; spaces are blank.

    Worked example: of "Kira Bailey" a token shows "a Bail": its letters are `a`, blank, `B`, `a`, `i`, `l`, from 3 on.
    """
    spelled, begun = np.full((tokens, KINDS, SPELLED), ABSENT), np.full((tokens, KINDS), ABSENT)
    for entry, places, names in zip(page.items, written, naming, strict=True):
        kind = int(not names)
        for token in {place for place in places if place != ABSENT}:
            first = places.index(token)
            last = len(places) - places[::-1].index(token)
            shown = entry.item.text[first:last][:SPELLED]
            spelled[token, kind] = BLANK
            spelled[token, kind, : len(shown)] = [BLANK if letter == " " else letter_class(letter) for letter in shown]
            begun[token, kind] = min(first, COUNTED - 1)
    return spelled.reshape(tokens, -1), begun


def where_written(page: RecordedPage, item: Item) -> tuple[int, ...]:
    """The visual token that shows each character of an item's text; -1 for spaces, and where it is not to be found.

    Worked example: the marks of a row read `KKiraBailey`, its badge first; "Kira Bailey" begins at the second K.
    """
    width, height = page.image.size
    left, top, right, bottom = (
        value * side / MODEL_GRID for value, side in zip(item.box, (width, height) * 2, strict=True)
    )
    inside = [
        mark
        for mark in page.marks
        if len(mark.name) == 1 and left - EDGE <= mark.x <= right + EDGE and top <= mark.y <= bottom
    ]
    letters = [letter for letter in item.text if letter != " "]
    begin = "".join(mark.name for mark in inside).find("".join(letters))
    if begin < 0 or not letters:
        return (ABSENT,) * len(item.text)
    columns = width // RESIZE_FACTOR
    tokens = iter([mark.y // RESIZE_FACTOR * columns + mark.x // RESIZE_FACTOR for mark in inside[begin:]])
    return tuple(ABSENT if letter == " " else next(tokens) for letter in item.text)


def _marked(page: RecordedPage, columns: int, rows: int, icons: dict[str, int]) -> tuple[Ints, Ints]:
    """Letters and icons by token. Letters of a line come from left to right."""
    letters, icon = np.zeros((rows * columns, PATCHES * SLOTS), np.int64), np.zeros(rows * columns, np.int64)
    for mark in page.marks:
        token = mark.y // RESIZE_FACTOR * columns + mark.x // RESIZE_FACTOR
        if mark.name.startswith("icon:"):
            icon[token] = 1 + icons.get(mark.name.removeprefix("icon:"), -1)
            continue
        patch = mark.y // PATCH_SIZE % MERGE_SIZE * MERGE_SIZE + mark.x // PATCH_SIZE % MERGE_SIZE
        slot = mark.x % PATCH_SIZE * SLOTS // PATCH_SIZE
        slot += slot + 1 < SLOTS and bool(letters[token, patch * SLOTS + slot])
        letters[token, patch * SLOTS + slot] = letter_class(mark.name)
    return letters, icon


def _owners(entries: Sequence[PageItem], columns: int, rows: int, largest: bool = False) -> Ints:
    """[N] number of the smallest element that holds the token's middle, or has its own middle in the token.

    Of the largest one, where that is asked for.
    """
    owner = np.full((rows, columns), ABSENT)
    order = sorted(range(len(entries)), key=lambda number: _area(entries[number]), reverse=not largest)
    y, x = (np.arange(rows) + 0.5) * MODEL_GRID / rows, (np.arange(columns) + 0.5) * MODEL_GRID / columns
    for number in order:
        left, top, right, bottom = entries[number].item.box
        owner[np.ix_((top <= y) & (y < bottom), (left <= x) & (x < right))] = number
        middle_x, middle_y = entries[number].item.centre
        owner[middle_y * rows // MODEL_GRID, middle_x * columns // MODEL_GRID] = number
    return owner.reshape(-1)


def _area(entry: PageItem) -> int:
    left, top, right, bottom = entry.item.box
    return (right - left) * (bottom - top)


def _digits(entry: PageItem) -> list[int]:
    """(512, 40) -> 5 1 2 0 4 0."""
    return [int(digit) for value in entry.item.centre for digit in f"{value:03d}"]
