"""Runs the targets and keeps the count: `python -m fuzz --cases 100000 --seed 7 --out fuzz/log.json`.

Each target runs in a process of its own, so that a crash is a finding and not the end. A case is made of the seed, the
target's name and its number alone: `--only NAME --seed S --first N --cases 1` makes it again.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from fuzz.campaign import campaign, try_again, write_table
from fuzz.log import add_run, read_log
from fuzz.registry import TARGETS
from fuzz.running import Result, run_targets
from fuzz.target import Finding

ROUND_S = 30.0
"""Of processor time for each target in a round of `--until`, unless `--seconds` says otherwise."""


def main() -> int:
    """0 where nothing was found."""
    parser = _parser()
    args = parser.parse_args()
    chosen = [name for name in TARGETS if not args.only or any(_named(name, only) for only in args.only)]
    if not chosen:
        parser.error(f"no target {args.only}; there are {', '.join(TARGETS)}")
    if args.out is None and (args.until or args.again or args.page):
        parser.error("--until, --again and --page need the log: --out FILE")
    console = Console()
    if args.again or args.page:
        still = try_again(args.out) if args.again else []
        if args.page:
            write_table(args.out, args.page)
        return _told(still, console)
    if args.until:
        results = campaign(chosen, args.until, args.seed, args.seconds or ROUND_S, args.out, console)
    else:
        each = -(-args.cases // len(chosen))
        results = run_targets(chosen, each, args.seed, args.first, args.seconds, console)
    return _run(results, args.seed, args.out, console)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=20_000, help="in all, shared by the targets")
    parser.add_argument(
        "--until", type=int, default=0, help="in place of --cases: go on where the log ends until it holds so many"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of each target's first case")
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="a target, or the first part of its name"
    )
    parser.add_argument(
        "--seconds", type=float, default=None, help="of processor time for a target, after which it ends early"
    )
    parser.add_argument("--out", type=Path, default=None, help="JSON to which this run is added")
    parser.add_argument("--again", action="store_true", help="only run what the log's findings were found by")
    parser.add_argument("--page", type=Path, default=None, help="only write the log's counts into this page")
    return parser


def _named(name: str, only: str) -> bool:
    return name == only or name.startswith(f"{only}.")


def _run(results: Iterator[Result], seed: int, out: Path | None, console: Console) -> int:
    cases, seconds, found = 0, 0.0, 0
    for result in results:
        if out is not None:
            add_run(out, seed, result)  # at once: a run that is broken off counts as far as it came
        _told(result.findings, console)
        cases, seconds, found = cases + result.cases, seconds + result.seconds, found + len(result.findings)
    console.print(f"{cases} cases, {cases / max(seconds, 1e-9):.0f}/s, {found} findings")
    if out is not None:
        console.print(f"{read_log(out)['cases']} cases in {out} by now")
    return int(found > 0)


def _told(findings: list[Finding], console: Console) -> int:
    for finding in findings:
        told = f"[red]{finding.target}[/] case {finding.case}: {finding.kind} at {finding.where}"
        console.print(told, soft_wrap=True)
        console.print(f"  {finding.detail}", markup=False, soft_wrap=True)
    return int(bool(findings))


if __name__ == "__main__":
    sys.exit(main())
