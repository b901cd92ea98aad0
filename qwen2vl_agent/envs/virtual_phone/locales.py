"""The phone's own words in other languages. What its owner wrote stays as it is.

A locale belongs to the edition (`full-zh`). States, pages and handlers know English labels only; `arrange` puts a
scene's words into the phone's language before anything is measured or painted. The words stand in `assets/words.tsv`, a
column for each language; `{}` is a place for a word that is looked up in its turn.
"""

import csv
import dataclasses
import functools
import re
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar, cast

from qwen2vl_agent.envs.virtual_phone.state import PhoneState

T = TypeVar("T")
Translate = Callable[[str], str]
WORDS_FILE = Path(__file__).parent / "assets" / "words.tsv"
PLACE = "{}"
NOT_CONTENT = ("settings", "settings_order", "look", "home", "launcher", "recents", "tasks", "keyboard", "toast")
"""Parts of a phone's state that its owner did not write."""
CHOSEN = ("day", "sky", "category")
"""What the owner chose of what the phone offers."""
UNSPOKEN = ("id", "value", "look")
"""Fields of widgets that are not for reading, or typed by the owner."""
SILENT = (bool, int, float, type(None))


@dataclass(frozen=True, slots=True)
class Locale:
    """A language, and what it brings along."""

    tag: str
    """As Android's properties have it."""
    mirrored: bool
    """Whether the phone is laid out from right to left."""
    date: str
    """With the places `weekday`, `day` and `month`."""
    weekdays: str
    """From Monday on."""
    months: str


LOCALES = {
    "zh": Locale(
        "zh-CN",
        mirrored=False,
        date="{month}{day}日 {weekday}",
        weekdays="周一 周二 周三 周四 周五 周六 周日",
        months="1月 2月 3月 4月 5月 6月 7月 8月 9月 10月 11月 12月",
    ),
    "ja": Locale(
        "ja-JP",
        mirrored=False,
        date="{month}{day}日({weekday})",
        weekdays="月 火 水 木 金 土 日",
        months="1月 2月 3月 4月 5月 6月 7月 8月 9月 10月 11月 12月",
    ),
    "ar": Locale(
        "ar-EG",
        mirrored=True,
        date="{weekday}، {day} {month}",
        weekdays="الاثنين الثلاثاء الأربعاء الخميس الجمعة السبت الأحد",
        months="يناير فبراير مارس أبريل مايو يونيو يوليو أغسطس سبتمبر أكتوبر نوفمبر ديسمبر",
    ),
}
"""By the second part of an edition's name."""
TAG = "en-US"
"""Of editions without a locale."""


def locale_of(edition: str) -> Locale | None:
    """The locale of an edition; None for English."""
    return LOCALES.get(edition.partition("-")[2])


def translator(state: PhoneState) -> Translate:
    """What puts the phone's own words into its language; for an English phone, nothing."""
    code = state.edition.partition("-")[2]
    return Speech(code, frozenset(_written(state))) if code in LOCALES else str


def date_text(state: PhoneState, now: datetime) -> str:
    """The date as the phone writes it, for example `Mon 3 March`."""
    locale = locale_of(state.edition)
    if locale is None:
        return f"{now:%a} {now.day} {now:%B}"
    weekday, month = locale.weekdays.split()[now.weekday()], locale.months.split()[now.month - 1]
    return locale.date.format(weekday=weekday, day=now.day, month=month)


class Speech:
    """Says the phone's own words in a language, and leaves its owner's alone."""

    def __init__(self, code: str, own: frozenset[str] = frozenset()) -> None:
        self._code, self._own = code, own

    def __call__(self, text: str) -> str:
        if not text or text in self._own:
            return text
        found = _looked_up(self._code, text)
        return found if isinstance(found, str) else found[0].format(*map(self, found[1]))


def spoken(thing: T, say: Translate) -> T:
    """A scene, or any part of one, with its words as `say` has them; what has none is given back itself."""
    made: Any = thing
    if isinstance(thing, str):
        made = say(thing)
    elif type(thing) in (list, tuple):
        made = type(thing)([spoken(part, say) for part in thing])  # type: ignore[call-arg,attr-defined]
    elif names := _fields(cast(Hashable, type(thing)), UNSPOKEN):
        parts = {name: part for name in names if not isinstance(part := getattr(thing, name), SILENT)}
        said = {name: new for name, part in parts.items() if (new := spoken(part, say)) != part}
        made = dataclasses.replace(thing, **said) if said else thing  # type: ignore[type-var]
    return made


def _written(thing: Any) -> Iterator[str]:
    """All that the owner wrote, and the lines of it."""
    if isinstance(thing, str):
        yield thing
        if "\n" in thing:
            yield from thing.splitlines()
    elif isinstance(thing, dict):
        yield from thing
        for part in thing.values():
            yield from _written(part)
    elif isinstance(thing, list):
        for part in thing:
            yield from _written(part)
    else:
        for name in _fields(cast(Hashable, type(thing)), NOT_CONTENT + CHOSEN):
            yield from _written(getattr(thing, name))


@functools.cache
def _fields(kind: Hashable, without: tuple[str, ...]) -> tuple[str, ...]:
    """The names of a dataclass's fields, without some; of any other type, none."""
    named = dataclasses.fields(kind) if dataclasses.is_dataclass(kind) and isinstance(kind, type) else ()
    return tuple(field.name for field in named if field.name not in without)


@functools.cache
def table(code: str) -> dict[str, str]:
    """The words of a language by the English ones."""
    with WORDS_FILE.open(encoding="utf-8", newline="") as file:
        return {row["en"]: row[code] for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)}


@functools.cache
def _patterns(code: str) -> list[tuple[re.Pattern[str], str]]:
    """The forms with places, the longest first: `Photo {} saved` before `Photo {}`."""
    return [
        (re.compile("(.+)".join(re.escape(part) for part in english.split(PLACE))), other)
        for english, other in sorted(table(code).items(), key=lambda row: -len(row[0]))
        if PLACE in english
    ]


@functools.lru_cache(maxsize=20_000)
def _looked_up(code: str, text: str) -> str | tuple[str, tuple[str, ...]]:
    """The word, or a form with the words for its places; the text itself where it is none of the phone's."""
    word = table(code).get(text)
    if word is not None:
        return word
    matches = ((pattern.fullmatch(text), form) for pattern, form in _patterns(code))
    return next(((form, match.groups()) for match, form in matches if match), text)
