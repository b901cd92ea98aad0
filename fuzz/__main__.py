"""Runs the targets and keeps the count: `python -m fuzz --cases 100000 --seed 7 --out fuzz/log.json`.

Each target runs in a process of its own, so that a crash is a finding and not the end. A case is made of the seed, the
target's name and its number alone: `--only NAME --seed S --first N --cases 1` makes it again.
"""

import argparse
import sys
from pathlib import Path

from rich.console import Console

from fuzz.log import add_run
from fuzz.registry import TARGETS
from fuzz.running import run_targets


def main() -> int:
    """0 where nothing was found."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=20_000, help="in all, shared by the targets")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of each target's first case")
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="a target, or the first part of its name"
    )
    parser.add_argument("--seconds", type=float, default=None, help="of a target, after which it ends early")
    parser.add_argument("--out", type=Path, default=None, help="JSON to which this run is added")
    args = parser.parse_args()
    chosen = [name for name in TARGETS if not args.only or any(_named(name, only) for only in args.only)]
    if not chosen:
        print(f"no target {args.only}; there are {', '.join(TARGETS)}", file=sys.stderr)
        return 2
    console = Console()
    results = []
    for result in run_targets(chosen, -(-args.cases // len(chosen)), args.seed, args.first, args.seconds, console):
        results.append(result)
        if args.out is not None:
            total = add_run(args.out, args.seed, result)  # at once: a run that is broken off counts as far as it came
        for finding in result.findings:
            told = f"[red]{finding.target}[/] case {finding.case}: {finding.kind} at {finding.where}"
            console.print(told, soft_wrap=True)
            console.print(f"  {finding.detail}", markup=False, soft_wrap=True)
    cases, seconds = sum(r.cases for r in results), sum(r.seconds for r in results)
    console.print(
        f"{cases} cases, {cases / max(seconds, 1e-9):.0f}/s, {sum(len(r.findings) for r in results)} findings"
    )
    if args.out is not None:
        console.print(f"{total} cases in {args.out} by now")
    return int(any(result.findings for result in results))


def _named(name: str, only: str) -> bool:
    return name == only or name.startswith(f"{only}.")


if __name__ == "__main__":
    sys.exit(main())
