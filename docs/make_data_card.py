"""Writes the data card of the embedded model, from the recipe's own numbers: `python docs/make_data_card.py`.

It goes to `docs/data-card.md`; a test holds that the page is what the recipe gives today.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

from qwen2vl_agent.data import examples
from qwen2vl_agent.data.synthetic import changes, comparing, copying, drills, pages
from qwen2vl_agent.envs.tasks import task_ids
from qwen2vl_agent.envs.virtual_phone import inventions, word_pools, words
from qwen2vl_agent.recipes import tiny, tiny_data, tiny_look
from qwen2vl_agent.schema.geometry import RESIZE_FACTOR

PAGE = Path(__file__).parent / "data-card.md"
RECIPE = tiny.TinyRecipe()
SOURCES: dict[str, tuple[str, ModuleType]] = {
    "copying": ("random texts, repeated or used in an agent's words; no picture", copying),
    "comparing": ("pairs of numbers, and which way a level has to go; no picture", comparing),
    "drills": ("short questions about elements of wandered screens: here or not, where, what", drills),
    "icons": ("the same on launchers, quick settings and calculators, which are mostly icons", drills),
    "reading": ("wandered screens written down, with two questions about each", pages),
    "changes": ("two screens in a row, and what changed", changes),
    "lines": ("pictures of random lines of text, asked about line by line", drills),
    "texts": ("screens from which a bundled solution reads, asked about text by text", drills),
    "episodes": ("demonstrations of the bundled solutions that ended well; mistakes in them are not learned", examples),
    "corrections": ("episodes that the model acted in, with the solution's words at each of its steps", examples),
}
"""What each source of the recipe is, and the module that makes it."""
POOLS = (
    "FIRST_NAMES", "LAST_NAMES", "NOTE_TOPICS", "THINGS", "MESSAGES", "CITIES", "ALARM_LABELS", "EVENTS", "SONGS",
    "ARTISTS", "FILES", "NETWORKS",
)  # fmt: skip


def card() -> str:
    """The whole page."""
    sections = (HEAD, *made(), *amounts(), *shares(), *seeds(), *splits(), GAPS)
    return "\n".join(sections).rstrip() + "\n"


def made() -> Iterator[str]:
    """The sources, each with where it is made."""
    yield from ("## What it is made of", "")
    yield from table(
        ("source", "what an example is", "made by"),
        ((f"`{name}`", what, f"`{module.__name__.replace('.', '/')}.py`") for name, (what, module) in SOURCES.items()),
    )


def amounts() -> Iterator[str]:
    """How much of what is recorded or drawn before training."""
    tasks = len(task_ids())
    side = f"{tiny_data.COLUMNS * RESIZE_FACTOR} x {tiny_data.ROWS * RESIZE_FACTOR} pixels"
    yield from ("## How much", "")
    yield from table(
        ("recorded or drawn first", "number"),
        (
            ("screens met while wandering over virtual phones (`envs/tasks/explore.py`)", f"{RECIPE.pages:,}"),
            ("of them asked about while the vision encoder is locked", f"{RECIPE.asked_pages:,}"),
            ("screens from which the solutions read (`envs/tasks/readings.py`)", f"{RECIPE.read_pages:,}"),
            ("kept pictures of random lines of text", f"{RECIPE.line_pages:,}"),
            ("task templates with a bundled solution", str(tasks)),
            ("demonstrations", f"{tasks * RECIPE.episodes_per_task:,}"),
            ("of them with deliberate mistakes to recover from", "two of three"),
            ("share of mistakes in those", percent(RECIPE.noise)),
            ("episodes of corrections", f"{tasks * RECIPE.corrected_per_task:,}"),
            ("screens and pictures are shown at", side),
        ),
    )
    yield "The texts, comparisons and lines that are not kept are drawn anew for every example, without end."
    yield ""


def shares() -> Iterator[str]:
    """Phases, their length, and what share of their examples each source has."""
    phases = [phase for phase in tiny.PHASES if phase.name in tiny_data.SHARES]
    yield from ("## Shares", "")
    yield "Share of each phase's examples. The phase `look` learns from pictures alone:"
    yield f"{percent(1 - tiny_look.DRAWN)} wandered screens, {percent(tiny_look.DRAWN)} random lines of text,"
    yield f"{RECIPE.look_steps:,} steps of {RECIPE.look_batch_tokens:,} tokens."
    yield ""
    head = ("source", *(f"`{phase.name}` ({phase.stage})" for phase in phases))
    rows = [
        (f"`{name}`", *(percent(tiny_data.SHARES[phase.name].get(name, 0.0)) for phase in phases)) for name in SOURCES
    ]
    for what in ("steps", "batch_tokens"):
        told = "steps" if what == "steps" else "tokens of a step"
        rows.append((told, *(f"{getattr(RECIPE, f'{phase.name}_{what}'):,}" for phase in phases)))
    yield from table(head, rows)


def seeds() -> Iterator[str]:
    """Where each draw begins."""
    yield from ("## Seeds", "")
    yield "Everything is a function of the recipe's seed and of what was trained before:"
    yield ""
    yield from table(
        ("what", "seeds"),
        (
            ("the recipe", str(RECIPE.seed)),
            ("wandered screens, screens to read from", str(RECIPE.seed + 1)),
            ("demonstrations, of every task", span(RECIPE.seed * 1_000_000, RECIPE.episodes_per_task)),
            (
                "corrections, of every task",
                span(RECIPE.seed * 1_000_000 + tiny_data.CORRECTED, RECIPE.corrected_per_task),
            ),
            ("screens and episodes on which skills are measured", f"from {tiny.SCORED_SEED}"),
        ),
    )


def splits() -> Iterator[str]:
    """What training never sees."""
    yield from ("## Splits", "")
    yield "A word belongs to training or is held out by a checksum of its letters (`envs/virtual_phone/words.py`):"
    yield f"about {words.HELD_OUT_PERCENT} of 100 are held out."
    yield f"{percent(words.HELD_OUT_SHARE_IN_TEST)} of each pool of a test phone are such words."
    yield "Every second phone of the demonstrations and corrections has invented words instead, of"
    yield f"{inventions.SHORTEST} to {inventions.LONGEST} letters, never a held-out one."
    yield ""
    rows = []
    for pool in POOLS:
        told = getattr(word_pools, pool)
        held = sum(map(words.is_held_out, told))
        rows.append((pool.lower().replace("_", " "), str(len(told)), str(len(told) - held), str(held)))
    yield from table(("pool", "words or texts", "training", "held out"), rows)


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Lines of a Markdown table, and an empty one after it."""
    yield from (f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows))
    yield ""


def percent(share: float) -> str:
    """`36 %`."""
    return f"{100 * share:.0f} %"


def span(first: int, count: int) -> str:
    """`5 to 8`, both ends included."""
    return f"{first} to {first + count - 1}"


HEAD = """\
# Data card of the embedded model

What `qwen2vl-agent train tiny` learns from. `python docs/make_data_card.py` writes this page from the recipe
(`qwen2vl_agent/recipes/tiny.py`, `tiny_data.py`), so its numbers are those of the code. The weights in the package came
from several stretches of such training, with other amounts along the way: their card,
`qwen2vl_agent/checkpoints/tiny/README.md`, tells those, and the scores.

**Nothing was collected from people.** Every picture, text and episode is generated on the machine that trains; there
is nothing to download or to license. Fonts and icons are Roboto and Material Icons (Apache License 2.0). Language:
English; letters: Latin, without accents.
"""
GAPS = """\
## Known gaps

* One kind of screen: the virtual phone, first and full edition, in its own drawing and in English. No real phone, no
  web page, no desktop, no photo, no video.
* One size. Smaller print than that of these phones was never seen.
* What is held out are names and texts. The words of the phone itself (its settings, its apps, its buttons) and the
  templates of the tasks are those of the tests: success on test phones says nothing about other apps or other tasks.
* Invented words follow the letters of English names; codes, other scripts and long words are missing.
* The bundled solutions take the shortest way. What they never do (go back and compare, ask, give up) cannot be learned
  from them.
* Thoughts are made from templates. They say what is looked at and what is done, and no more.
"""

if __name__ == "__main__":
    PAGE.write_text(card(), "utf-8")
