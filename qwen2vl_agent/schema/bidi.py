"""Arabic and Hebrew letters in the forms and the order in which they stand on a page, for any drawing library.

A library's own shaping differs between machines (Pillow's needs FriBiDi), and a picture must be a pure function of its
number.
"""

import unicodedata
from collections.abc import Iterator
from functools import cache
from itertools import accumulate, groupby

FORMS = (*range(0xFB50, 0xFC00), *range(0xFE80, 0xFEFD))
"""Arabic Presentation Forms: of Persian and Urdu (A), and B. Source: Unicode 16, chapter 9.2 and UnicodeData.txt
(`<initial> 0628` …)."""
LAM = "ل"
MIRRORED = dict(zip("()[]{}<>«»", ")(][}{><»«", strict=True))
JOINING = ":,./+-"
"""Signs that belong to the number in whose middle they stand."""
KINDS = {"L": "L", "R": "R", "AL": "R", "EN": "N", "AN": "N"}
"""Unicode's classes: from left to right, from right to left, numbers. All else goes with its neighbours."""


def as_seen(text: str) -> str:
    """The letters of a line from left to right as drawn; without Arabic and Hebrew letters it stays as it is.

    The bidirectional algorithm without explicit marks (Unicode Standard Annex 9, rules W7, N1, N2, L2 and L4).
    Worked examples: باب (beh, alef, beh) is drawn as isolated beh, final alef, initial beh; "אב 12 c" as "c 12 בא".
    """
    if not any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in text):
        return text
    units = _shaped(text)
    levels = _levels(units)
    drawn = [MIRRORED.get(unit, unit) if level % 2 else unit for unit, level in zip(units, levels, strict=True)]
    order = list(range(len(units)))
    for level in range(max(levels), 0, -1):
        order = [place for run in _runs(order, levels, level) for place in run]
    return "".join(drawn[place] for place in order)


def _runs(order: list[int], levels: list[int], level: int) -> Iterator[list[int]]:
    """Stretches of places at least as deep as `level`, turned round, and between them the others."""
    for deep, run in groupby(order, lambda place: levels[place] >= level):
        places = list(run)
        yield places[::-1] if deep else places


def _levels(units: list[str]) -> list[int]:
    """How deep each unit is embedded, odd from right to left. A line has the direction of its first letter."""
    kinds = [KINDS.get(unicodedata.bidirectional(unit[0]), "") for unit in units]
    base = strong = next(kind for kind in kinds if kind in ("L", "R"))
    for place, kind in enumerate(kinds):
        if kind in ("L", "R"):
            strong = kind
        elif units[place] in JOINING and kinds[place - 1 : place] == kinds[place + 1 : place + 2] == ["N"]:
            kinds[place] = "N"
        elif kind == "N" and strong == "L":
            kinds[place] = "L"
    following = list(accumulate(reversed(kinds), lambda later, kind: kind or later, initial=base))[::-1]
    before = base
    for place, kind in enumerate(kinds):
        if not kind:
            after = following[place]
            kinds[place] = "L" if before == after == "L" else "R" if "L" not in (before, after) else base
        before = kinds[place]
    return [{"L": 2 * (base == "R"), "R": 1, "N": 2}[kind] for kind in kinds]


def _shaped(text: str) -> list[str]:
    """Each letter in the form that its neighbours ask for; lam and alef are one."""
    forms, made, joined, place = _forms(), [], False, 0
    while place < len(text):
        pair = text[place : place + 2]
        unit = pair if pair in forms else text[place]
        place += len(unit)
        joins_on = place < len(text) and "initial" in forms.get(unit, {}) and "final" in forms.get(text[place], {})
        wanted = ("initial" if joins_on else "isolated") if not joined else ("medial" if joins_on else "final")
        made.append(forms.get(unit, {}).get(wanted, unit))
        joined = joins_on
    return made


@cache
def _forms() -> dict[str, dict[str, str]]:
    """By letter, or by lam and an alef: its isolated, initial, medial and final form."""
    forms: dict[str, dict[str, str]] = {}
    for code in FORMS:
        kind, *letters = unicodedata.decomposition(chr(code)).split() or [""]
        name = "".join(chr(int(letter, 16)) for letter in letters)
        if len(name) == 1 or name.startswith(LAM):
            forms.setdefault(name, {})[kind.strip("<>")] = chr(code)
    return forms
