"""A long count of cases over many runs: what is next, whether what was found is mended, and the table for readers."""

import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from fuzz.log import next_case, read_log, write_log
from fuzz.registry import TARGETS
from fuzz.running import Result, run_targets
from fuzz.target import Finding, Prepared

BEGIN, END = "<!-- counts: written by python -m fuzz -->", "<!-- end of the counts -->"


def campaign(names: list[str], until: int, seed: int, seconds: float, log: Path, console: Console) -> Iterator[Result]:
    """`seconds` for each target, round after round, until the log holds `until` cases: cheap readers get the most.

    Whoever takes the results adds each to the log before asking for the next. It goes on where the log ends.
    """
    names = list(names)
    while names:
        for name in list(names):
            held = read_log(log)
            if held["cases"] >= until:
                return
            first = next_case(held, name, seed)
            for result in run_targets([name], until - held["cases"], seed, first, seconds, console):
                if not result.cases:
                    names.remove(name)  # it cannot be prepared, which is a finding
                yield result


def try_again(path: Path) -> list[Finding]:
    """Run the case of every finding of a log again and keep whether it is mended; those that are not."""
    log, still = read_log(path), []
    for run in log["runs"]:
        for found in run["findings"]:
            outcome = _tried(run["name"], run["seed"], found["case"])
            found["mended"] = not isinstance(outcome, Finding)
            still += [outcome] if isinstance(outcome, Finding) else []
    write_log(path, log)
    return still


def _tried(name: str, seed: int, case: int) -> Finding | bool:
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        return Prepared(TARGETS[name], Path(folder)).try_case(seed, case)


def table(log: dict[str, Any]) -> Iterator[str]:
    """Markdown: for each target how many cases, how many of them were valid still, found and mended."""
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for run in log["runs"]:
        found = run["findings"]
        new = (run["cases"], run["taken"], len(found), sum(f.get("mended", False) for f in found))
        sums[run["name"]] = [old + more for old, more in zip(sums[run["name"]], new, strict=True)]
    total = [sum(column) for column in zip(*sums.values(), strict=True)] or [0, 0, 0, 0]
    yield "| target | cases | valid still | found | mended |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    for name, row in [*sorted(sums.items()), ("all", total)]:
        yield f"| `{name}` | " + " | ".join(f"{figure:,}" for figure in row) + " |"


def write_table(log: Path, page: Path) -> None:
    """Put the table between its marks on a page."""
    before, _, rest = page.read_text("utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text("\n".join([before + BEGIN, "", *table(read_log(log)), "", END]) + after, "utf-8")
