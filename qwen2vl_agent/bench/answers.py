"""How right an answer about a document, chart, picture or video is: the metrics of the published benchmarks."""

import re
from collections.abc import Sequence

ANLS_THRESHOLD = 0.5
"""Similarity below which an answer counts nothing. Source: Biten et al. 2019, Scene Text Visual Question Answering."""
TOLERANCE = 0.05
"""Part of a number by which an answer may be off. Source: Methani et al. 2020 (PlotQA); ChartQA's relaxed accuracy."""
LETTERS = "ABCDEFGHIJ"


def anls(answer: str, truths: Sequence[str]) -> float:
    """Average normalised Levenshtein similarity of one answer: the best over the truths, 0 where it is below 0.5.

    Case and spaces do not count. Worked example: "kitten" for "sitting" takes 3 edits of 7 letters: 1 - 3/7 = 0.571.
    """
    best = max((similarity(_plain(answer), _plain(truth)) for truth in truths), default=0.0)
    return best if best >= ANLS_THRESHOLD else 0.0


def similarity(one: str, other: str) -> float:
    """1 - edits / length of the longer text; 1 for two empty texts."""
    longest = max(len(one), len(other))
    return 1.0 - edits(one, other) / longest if longest else 1.0


def edits(one: str, other: str) -> int:
    """Letters to insert, delete or replace to make one text of the other (Levenshtein's distance)."""
    before = list(range(len(other) + 1))
    for row, letter in enumerate(one, 1):
        current = [row]
        for column, wanted in enumerate(other, 1):
            replaced = before[column - 1] + (letter != wanted)
            current.append(min(before[column] + 1, current[-1] + 1, replaced))
        before = current
    return before[-1]


def relaxed(answer: str, truth: str) -> float:
    """1 where a number is within 5 % of the true one, or another text is the same but for case and spaces.

    A percent sign divides by 100; a true 0 is met by 0 only.
    """
    given, wanted = number(answer), number(truth)
    if given is not None and wanted is not None:
        return float(given == wanted if wanted == 0 else abs(given - wanted) / abs(wanted) <= TOLERANCE)
    return float(_plain(answer) == _plain(truth))


def number(text: str) -> float | None:
    """The number that a text is; None: it is none. "1,200" is 1200, "12 %" is 0.12, "$5" is 5."""
    plain = re.sub(r"[\s,$€£]", "", text.strip().rstrip("."))
    percent = plain.endswith("%")
    if not re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", plain.rstrip("%"), re.IGNORECASE):
        return None
    return float(plain.rstrip("%")) / (100 if percent else 1)


def choice(answer: str, options: Sequence[str]) -> str | None:
    """The letter that an answer chooses; None: none, or several.

    Read in this order: a letter alone or with a mark ("B", "(b)", "B. Red"), an option written out, a letter after
    "answer is" or "option", the only letter in capitals.
    """
    letters, plain = LETTERS[: len(options)], answer.strip()
    bare = plain.strip("().: ").upper()
    if len(bare) == 1:
        return bare if bare in letters else None
    if found := re.match(rf"\(?([{letters}])[.:,)]", plain):
        return found[1]
    if (written := _written(plain, options)) is not None:
        return letters[written]
    if found := re.search(
        rf"(?i:answer|option|choice)\s*(?i:is)?\s*:?\s*(?:\(([{letters.lower()}])\)|\(?([{letters}])\b)", plain
    ):
        return (found[1] or found[2]).upper()
    alone = set(re.findall(rf"(?<![\w'])([{letters}])(?![\w'])", plain)) - {"A", "I"}
    return alone.pop() if len(alone) == 1 else None


def _written(answer: str, options: Sequence[str]) -> int | None:
    """The only option that an answer writes out; of "12" and "120" in "120" the longer one."""
    found = [place for place, option in enumerate(options) if option and _plain(option) in _plain(answer)]
    if not found:
        return None
    longest = max(found, key=lambda place: len(options[place]))
    inside = all(_plain(options[place]) in _plain(options[longest]) for place in found)
    return longest if inside else None


def named(answer: str, truth: str, names: Sequence[str]) -> float:
    """1 where the truth is the only one of the names that an answer has."""
    words = re.findall(r"\w+", answer.lower())
    return float([name for name in names if name in words] == [truth])


def multiple_choice(answer: str, options: Sequence[str], truth: str) -> float:
    """1 where the answer chooses the true letter."""
    return float(choice(answer, options) == truth.strip().upper()[:1])


def mathvista(answer: str, truth: str, options: Sequence[str], answer_type: str, precision: int | None) -> float:
    """1 where what an answer says in the end is the truth, read by rules.

    Of options the one chosen; of numbers the last one in the answer, rounded as the task says. The published score has
    a language model read the answers; rules read fewer of them, so this is a lower bound of that score.

    Source: MathVista, evaluation/extract_answer.py and calculate_score.py.
    """
    if options:
        letter = choice(answer, options)
        return float(letter is not None and options[LETTERS.index(letter)] == truth)
    said = re.split(r"answer is:?", answer, flags=re.IGNORECASE)[-1]
    if answer_type not in ("integer", "float"):
        return float(_plain(said).strip(".\"' ") == _plain(truth))
    numbers = re.findall(r"[-+]?\d[\d,]*\.?\d*", said)
    wanted = number(truth)
    if not numbers or wanted is None:
        return 0.0
    given = float(numbers[-1].replace(",", "").rstrip("."))
    if answer_type == "integer":
        return float(int(given) == int(wanted))
    places = int(precision or 1)
    return float(round(given, places) == round(wanted, places))


def _plain(text: str) -> str:
    return " ".join(text.strip().lower().split())
