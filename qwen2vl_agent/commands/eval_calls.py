"""`qwen2vl-agent eval aitz|fncall`: type match and exact match of function calls, by a model or by written replies."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console
from rich.table import Table

from qwen2vl_agent.commands import output
from qwen2vl_agent.commands.answers_file import KeptAnswers
from qwen2vl_agent.schema.errors import ConfigError

COLUMNS = ("type_match", "exact_match", "readable", "steps")
HEADINGS = ("", "type match", "exact match", "readable", "steps")


def run_calls(flags: Any) -> int:
    """Asks or reads replies, scores them and tells; `flags` are those of `eval`.

    Raises:
        ConfigError: no data, no replies, or flags that exclude each other.
    """
    from rich.progress import track

    from qwen2vl_agent.bench.call_scores import call_summary, scored

    console, missing, rows = output.console(flags.json), 0, []
    reply = _written(flags) if flags.predictions is not None else _asked(flags)
    for question in track(_questions(flags), "scoring", total=flags.limit, console=console, transient=True):
        said = reply(question)
        missing += said is None
        rows.append(scored(question, said))
    result = call_summary(flags.suite, rows) | {"missing": missing}
    _show(result, console)
    flags.tell(result)
    return 0


def _questions(flags: Any) -> Iterator[Any]:
    from qwen2vl_agent.data.call_questions import aitz_questions, fncall_questions

    if flags.data is None:
        raise ConfigError(f"{flags.suite} needs --data: the folder of your copy, or of recorded episodes")
    if flags.suite == "aitz":
        asked = aitz_questions(flags.data, flags.split, flags.form, flags.history)
    else:
        asked = fncall_questions(flags.data, flags.split)
    return itertools.islice(asked, flags.limit)


def _written(flags: Any) -> Callable[[Any], str | None]:
    """Replies from a file."""
    if flags.model or flags.out:
        raise ConfigError("--predictions are scored without a model: leave --model and --out out")
    kept = KeptAnswers.given(flags.predictions)
    return lambda question: kept.of(question.id)


def _asked(flags: Any) -> Callable[[Any], str | None]:
    """A model's replies, kept in --out."""
    kept = KeptAnswers(flags.out)
    ask: Any = None

    def reply(question: Any) -> str:
        nonlocal ask
        said = kept.of(question.id)
        if said is None:
            ask = ask or flags.asker()
            said = str(ask(question.messages, question.form))
            kept.note(question.id, said)
        return said

    return reply


def _show(result: dict[str, Any], console: Console) -> None:
    table = Table(*HEADINGS, title=result["suite"], title_justify="left")
    for name, part in {**result["kinds"], "all": result}.items():
        cells = [part[column] for column in COLUMNS]
        table.add_row(name, *(f"{100 * cell:.1f} %" for cell in cells[:-1]), str(cells[-1]))
    console.print(table)
    told = f"exact match 95 % interval {100 * result['low']:.1f} to {100 * result['high']:.1f} %"
    done = f"episodes right from end to end: {100 * result['episode_success']:.1f} % of {result['episodes']}"
    console.print(f"{told}; {done}", soft_wrap=True)
    if result["missing"]:
        console.print(f"{result['missing']} questions have no reply; they count as wrong", soft_wrap=True)
