"""What an environment says of itself: names and docs of its actions, and what it is about.

Sources, the first that fits: `get_action_meanings()`, an enumeration called `actions`, `metadata["action_meanings"]`,
and the lists and tables of the docstring's section on actions, as gymnasium's own environments write them.
"""

import enum
import inspect
import keyword
import re
from dataclasses import dataclass
from typing import Any

LONGEST_NAME = 40
LONGEST_ABOUT = 300
_SECTION = re.compile(r"^\s*#+ *actions?(?: space)?\b.*?$(?P<body>.*?)(?=^\s*#+ |\Z)", re.S | re.M | re.I)
_LISTED = re.compile(r"^\s*(?:[-*]\s+)?[`']?(\d+)[`']?\s*[:=]\s*(\S.*?)\s*$", re.M)
_ROW = re.compile(r"^\s*\|(.+)\|\s*$", re.M)
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_SENTENCE_END = re.compile(r"(?<=\w\w[.!?])\s+|(?<=[\")][.!?])\s+")
_CITING = re.compile(r'\b(introduced|refactored|based on|described)\b.*"')
ENDING_NAMES = ("done", "answer")
"""Names of functions that end a dialogue; an environment's action called so is `do_done`."""


@dataclass(frozen=True, slots=True)
class Label:
    """One action, or one number of an action, in words."""

    name: str
    about: str


def labels(env: Any, count: int) -> tuple[Label, ...] | None:
    """The `count` actions of an environment in words; None where it does not say."""
    told = _from_docstring(docstring(env), count)
    names = _own_names(env, count)
    if names is None:
        return told
    about = [label.about for label in told] if told else names
    return tuple(Label(name, text) for name, text in zip(names, about, strict=True))


def _own_names(env: Any, count: int) -> list[str] | None:
    unwrapped = env.unwrapped
    meanings = getattr(unwrapped, "get_action_meanings", None)
    for source in (
        meanings() if callable(meanings) else None,
        getattr(unwrapped, "actions", None),
        unwrapped.metadata.get("action_meanings"),
    ):
        found = _texts(source)
        if found and len(found) == count:
            return found
    return None


def _texts(source: Any) -> list[str]:
    if isinstance(source, type) and issubclass(source, enum.Enum):
        return [member.name for member in source]
    if isinstance(source, dict):
        return [str(value) for _, value in sorted(source.items())]
    if isinstance(source, list | tuple):
        return [item.name if isinstance(item, enum.Enum) else str(item) for item in source]
    return []


def docstring(env: Any) -> str:
    """What is written about the environment's class, or about the nearest class that it comes from."""
    for kind in type(env.unwrapped).__mro__:
        if kind.__module__.startswith("gymnasium.core"):
            break
        if kind.__doc__:
            return inspect.cleandoc(kind.__doc__)
    return ""


def _from_docstring(text: str, count: int) -> tuple[Label, ...] | None:
    section = _SECTION.search(text)
    where = section["body"] if section else text
    tabled = _tabled(where, count) if section else None
    return tabled or _listed(where, count)


def _listed(text: str, count: int) -> tuple[Label, ...] | None:
    """`- 0: Move left`, `- 1: …`: the first such list of the right length."""
    runs: list[list[str]] = []
    for number, words in _LISTED.findall(text):
        if int(number) == 0:
            runs.append([])
        if runs and int(number) == len(runs[-1]):
            runs[-1].append(words.strip("'\"`"))
    fitting = [run for run in runs if len(run) == count]
    if not fitting:
        return None
    short = [re.split(r"[,;:(]", words)[0].strip() for words in fitting[0]]
    names = short if len({slug(name) for name in short}) == count else fitting[0]
    return tuple(Label(name, words) for name, words in zip(names, fitting[0], strict=True))


def _tabled(text: str, count: int) -> tuple[Label, ...] | None:
    """`| Num | Action | … | Name | …`: a short name where the table has a column of distinct ones."""
    rows = [[cell.strip() for cell in row.split("|")] for row in _ROW.findall(text)]
    numbered = [row for row in rows if len(row) > 1 and row[0].isdecimal()]
    heads = [row for row in rows if len(row) > 1 and row[0].lower() == "num"]
    if len(numbered) != count or not heads:
        return None
    titles = [title.lower() for title in heads[0]]
    about = next((place for place, title in enumerate(titles) if title.startswith("action")), 1)
    name = next((place for place, title in enumerate(titles) if title.startswith("name")), about)
    if min(map(len, numbered)) <= max(about, name):
        return None
    if len({slug(row[name]) for row in numbered}) < count:
        name = about
    return tuple(Label(row[name], _plain(row[about])) for row in numbered)


def about(env: Any) -> str:
    """What the environment is about, in its own words; empty where it says nothing."""
    text = re.sub(r"```.*?```", "", docstring(env), flags=re.S)
    paragraphs = [_own_words(_plain(part)) for part in re.split(r"\n\s*\n|^\s*#+.*$", text, flags=re.M)]
    first = next((part for part in paragraphs if len(part.split()) > 3 and not part.startswith(("|", "!"))), "")
    if len(first) <= LONGEST_ABOUT:
        return first
    cut = first[:LONGEST_ABOUT]
    return cut[: cut.rfind(". ") + 1] or cut.rsplit(" ", 1)[0]


def _own_words(paragraph: str) -> str:
    """Without the sentences that say in which paper it was introduced."""
    return " ".join(sentence for sentence in _SENTENCE_END.split(paragraph) if not _CITING.search(sentence))


def _plain(text: str) -> str:
    return " ".join(_LINK.sub(r"\1", text).replace("`", "").split())


def slug(text: str) -> str:
    """`Push cart to the left` as `push_cart_to_the_left`; empty where nothing of it can stand in a name."""
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", re.sub(r"-(?=\d)", "minus ", text))
    words = re.findall(r"[a-z0-9]+", text.lower())
    name = ""
    for word in words:
        if name and len(name) + len(word) + 1 > LONGEST_NAME:
            break
        name = f"{name}_{word}" if name else word[:LONGEST_NAME]
    if name and name[0].isdecimal():
        name = f"n{name}"
    return f"{name}_" if keyword.iskeyword(name) else name


def distinct(names: list[str]) -> list[str]:
    """The names, with numbers after those that occur twice."""
    found: list[str] = []
    for name in names:
        wanted, number = name, 2
        while wanted in found:
            wanted, number = f"{name}_{number}", number + 1
        found.append(wanted)
    return found
