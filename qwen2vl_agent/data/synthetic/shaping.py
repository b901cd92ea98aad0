"""Arabic and Hebrew letters in the forms and the order in which they stand on a page, for any drawing library.

A library's own shaping differs between machines (Pillow's needs FriBiDi), and a picture must be a pure function of its
number.
"""

import unicodedata
from functools import cache

FORMS = range(0xFE80, 0xFEFD)
"""Arabic Presentation Forms-B. Source: Unicode 16, chapter 9.2 and UnicodeData.txt (`<initial> 0628` …)."""
LAM = "ل"


def as_seen(text: str) -> str:
    """Its letters from left to right as drawn; other scripts than Arabic and Hebrew stay as they are.

    Worked example: باب (beh, alef, beh) is drawn as isolated beh, final alef, initial beh.
    """
    if not any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in text):
        return text
    return "".join(_shaped(text))[::-1]


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
        kind, *letters = unicodedata.decomposition(chr(code)).split()
        name = "".join(chr(int(letter, 16)) for letter in letters)
        if len(name) == 1 or name.startswith(LAM):
            forms.setdefault(name, {})[kind.strip("<>")] = chr(code)
    return forms
