"""The blocks of code in README and the pages: what language, where, which file they are, and why one is not run."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^```(?P<language>[\w+-]*)(?P<info>[^`]*)$")
NOT_RUN = re.compile(r"^<!-- not run: (?P<reason>.+) -->$")
TITLE = re.compile(r'title="([^"]+)"')
CODE = re.compile(r"""(?:'[^']*'|"[^"]*"|[^'"#]|(?<=\S)\#)*""")
"""A line of sh up to its comment: a `#` that neither stands in quotes nor within a word."""
ASSIGNMENT = re.compile(r"^[A-Z_]+=\S*$")
PROGRAMS = (["qwen2vl-agent"], ["python", "-m", "qwen2vl_agent"], ["-m", "qwen2vl_agent"])


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    """Of its first line of code, counted from 1."""
    language: str
    text: str
    title: str = ""
    """The file that it is."""
    not_run: str = ""
    """Why it is not run, as told by a comment above it: `<!-- not run: REASON -->`."""

    @property
    def where(self) -> str:
        """`docs/page.md:12`."""
        return f"{self.page.relative_to(ROOT).as_posix()}:{self.line}"


def pages() -> list[Path]:
    """README, CONTRIBUTING, and all pages but the design notes and the log, which tell what was once done."""
    docs = ROOT / "docs"
    told = [page for page in sorted(docs.rglob("*.md")) if page.parent.name != "design" and page.name != "log.md"]
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *told]


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page in order."""
    lines = page.read_text("utf-8").splitlines()
    index, reason = 0, ""
    while index < len(lines):
        fence, told = FENCE.match(lines[index]), NOT_RUN.match(lines[index])
        if fence is None:
            reason = told["reason"] if told else reason if not lines[index].strip() else ""
            index += 1
            continue
        end = next(at for at in range(index + 1, len(lines)) if lines[at].startswith("```"))
        title = TITLE.search(fence["info"])
        text = "\n".join(lines[index + 1 : end])
        yield Block(page, index + 2, fence["language"], text, title[1] if title else "", reason)
        index, reason = end + 1, ""


def commands(block: Block) -> Iterator[tuple[int, str]]:
    """The command lines of a block of sh, continued ones joined, comments gone, each with its line in the page."""
    held, first = "", 0
    for number, line in enumerate(block.text.splitlines(), block.line):
        first = first if held else number
        held += CODE.match(line)[0].rstrip()  # type: ignore[index]
        if held.endswith("\\"):
            held = held[:-1]
        elif held.strip():
            yield first, held.strip()
            held = ""
        else:
            held = ""


def our_words(line: str) -> list[str] | None:
    """What a command line gives to our program; None where it starts another one."""
    words = shlex.split(line.removesuffix("&").split(" && ")[-1].partition(" | ")[0].partition(" > ")[0])
    while words and ASSIGNMENT.match(words[0]):
        words.pop(0)
    for program in PROGRAMS:
        at = 0 if program[0] != "-m" else next((i for i in range(len(words)) if words[i : i + 2] == program), -1)
        starts = words[:1] == ["torchrun"] if program[0] == "-m" else True
        if at >= 0 and starts and words[at : at + len(program)] == program:
            return words[at + len(program) :]
    return None
