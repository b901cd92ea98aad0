"""The count of all cases that were ever run, with what they found."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fuzz.running import Result


def add_run(path: Path, seed: int, result: Result) -> int:
    """Add what came of a target to a log; how many cases the log holds now."""
    log: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.is_file() else {"cases": 0, "runs": []}
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ")
    run = {"at": at, "seed": seed, **asdict(result), "seconds": round(result.seconds, 1)}
    log["runs"].append(run)
    log["cases"] = sum(run["cases"] for run in log["runs"])
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.part")
    partial.write_text(json.dumps(log, indent=1) + "\n", "utf-8")
    partial.replace(path)
    return int(log["cases"])
