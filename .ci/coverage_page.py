"""Writes docs/coverage.md from what coverage measured: `python .ci/coverage_page.py FILE.json`; see `make coverage`.

Files whose lines are mostly untested are named with the functions that no test ran, and why where it is known.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parent.parent / "docs" / "coverage.md"
PACKAGE = "qwen2vl_agent/"
LOW_PERCENT = 70.0
"""Below it a file is named."""
WHY = {
    "qwen2vl_agent/envs/browser/": "needs a browser; `make test-all` runs it",
    "qwen2vl_agent/envs/miniwob/": "needs a browser; `make test-all` runs it",
    "qwen2vl_agent/envs/gym/": "robots take long; `make test-all` runs them",
    "qwen2vl_agent/envs/desktop/": "macOS and Windows were not run here; X11 is tested in processes of their own",
    "qwen2vl_agent/training/parallel/": "runs in processes that torchrun starts",
    "qwen2vl_agent/envs/scrcpy_server.py": "needs a real phone",
}
"""By beginnings of paths: what keeps tests from running it, or coverage from seeing it."""
HEAD = """# Coverage of the tests

Written by `make coverage`: the share of the package's lines that {suite} ran, processes that tests start included.
A line that was run is not yet a line that was tested; one that never was is surely not.
"""


def page(measured: dict[str, Any], suite: str) -> str:
    """The page's text."""
    files = {name: file for name, file in measured["files"].items() if name.startswith(PACKAGE)}
    lines = [HEAD.format(suite=suite), *by_package(files), "", "## Mostly untested", "", *untested(files)]
    return "\n".join(lines).rstrip() + "\n"


def by_package(files: dict[str, Any]) -> Iterator[str]:
    """A row for each package, and one for all."""
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for name, file in files.items():
        below = name.removeprefix(PACKAGE)
        for group in (below.split("/")[0] if "/" in below else "the modules at the top", "all"):
            sums[group][0] += file["summary"]["num_statements"]
            sums[group][1] += file["summary"]["covered_lines"]
    yield from ("| package | lines | run |", "| --- | ---: | ---: |")
    for group in [*sorted(sums.keys() - {"all"}), "all"]:
        lines, run = sums[group]
        yield f"| {group} | {lines:,} | {100 * run / max(lines, 1):.0f} % |"


def untested(files: dict[str, Any]) -> Iterator[str]:
    """The files below `LOW_PERCENT`, least run first, each with its functions that never ran."""
    low = {name: file for name, file in files.items() if file["summary"]["percent_covered"] < LOW_PERCENT}
    yield from ("| file | run | never run | why |", "| --- | ---: | --- | --- |")
    for name, file in sorted(low.items(), key=lambda item: item[1]["summary"]["percent_covered"]):
        never = [f"`{function}`" for function in never_run(file)]
        why = next((reason for beginning, reason in WHY.items() if name.startswith(beginning)), "")
        shown = ", ".join(never[:6]) + (f" and {len(never) - 6} more" if len(never) > 6 else "")
        yield f"| `{name.removeprefix(PACKAGE)}` | {file['summary']['percent_covered']:.0f} % | {shown} | {why} |"


def never_run(file: dict[str, Any]) -> list[str]:
    """Names of functions with lines of which none was run."""
    return [
        name
        for name, function in file.get("functions", {}).items()
        if name and function["summary"]["num_statements"] and not function["summary"]["covered_lines"]
    ]


def main(arguments: list[str]) -> None:
    """Read what was measured, and write the page."""
    measured, suite = Path(arguments[0]), arguments[1] if len(arguments) > 1 else "`make test-all`"
    PAGE.write_text(page(json.loads(measured.read_text("utf-8")), suite), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
