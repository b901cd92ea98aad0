"""The count of all cases that were ever run, with what they found."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fuzz.running import Result


def add_run(path: Path, seed: int, results: list[Result]) -> int:
    """Add a run to a log; how many cases it holds now."""
    log: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.is_file() else {"cases": 0, "runs": []}
    log["runs"].append(
        {
            "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ"),
            "seed": seed,
            "cases": sum(result.cases for result in results),
            "seconds": round(sum(result.seconds for result in results), 1),
            "targets": {r.name: {"first": r.first, "cases": r.cases, "taken": r.taken} for r in results},
            "findings": [asdict(finding) for result in results for finding in result.findings],
        }
    )
    log["cases"] = sum(run["cases"] for run in log["runs"])
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.part")
    partial.write_text(json.dumps(log, indent=1) + "\n", "utf-8")
    partial.replace(path)
    return int(log["cases"])
