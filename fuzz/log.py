"""The count of all cases that were ever run, with what they found and whether it is mended."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fuzz.running import Result

FINDING = ("kind", "where")
"""By which findings of a target are told apart."""


def read_log(path: Path) -> dict[str, Any]:
    """`cases` in all, and `runs`: one for each target, seed and stretch of numbers without a gap."""
    return json.loads(path.read_text("utf-8")) if path.is_file() else {"cases": 0, "runs": []}


def write_log(path: Path, log: dict[str, Any]) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.part")
    partial.write_text(json.dumps(log, indent=1) + "\n", "utf-8")
    partial.replace(path)


def add_run(path: Path, seed: int, result: Result) -> int:
    """Add what came of a target to a log; how many cases the log holds now."""
    log = read_log(path)
    new = {**asdict(result), "seed": seed, "seconds": round(result.seconds, 1)}
    before = next((run for run in log["runs"] if _goes_on(run, new)), None)
    if before is None:
        log["runs"].append(before := new)
    else:
        _extend(before, new)
    before["at"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ")
    log["cases"] = sum(run["cases"] for run in log["runs"])
    write_log(path, log)
    return int(log["cases"])


def next_case(log: dict[str, Any], name: str, seed: int) -> int:
    """The number of a target's first case that the log does not hold, nor any after it."""
    ends = [run["first"] + run["cases"] for run in log["runs"] if (run["name"], run["seed"]) == (name, seed)]
    return max(ends, default=0)


def _goes_on(run: dict[str, Any], new: dict[str, Any]) -> bool:
    same = (run["name"], run["seed"]) == (new["name"], new["seed"])
    return same and run["first"] + run["cases"] == new["first"]


def _extend(run: dict[str, Any], new: dict[str, Any]) -> None:
    for figure in ("cases", "taken", "seconds"):
        run[figure] = round(run[figure] + new[figure], 1)
    known = {tuple(found[key] for key in FINDING) for found in run["findings"]}
    run["findings"] += [found for found in new["findings"] if tuple(found[key] for key in FINDING) not in known]
