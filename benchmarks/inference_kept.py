"""What `inference.py` has measured, kept in a file from one run to the next."""

import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

Seconds = tuple[float, float]
"""Ours and the peer's."""


class Kept:
    """Seconds by key and the steps of episodes by who took them, written as soon as they are measured."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._keys: dict[str, dict[str, Any]] = {}
        self._steps: dict[str, list[float]] = {}
        if file is not None and file.is_file():
            found = json.loads(file.read_text("utf-8"))
            self._keys, self._steps = found["keys"], found["steps"]

    def seconds(self, key: str, measure: Callable[[], Seconds]) -> Seconds:
        """Of a key: the kept ones, or what `measure` finds."""
        if key not in self._keys:
            before = os.getloadavg()[0]
            ours, peer = measure()
            load = [round(before, 1), round(os.getloadavg()[0], 1)]
            self._keys[key] = {
                "ours": round(ours, 4),
                "transformers": round(peer, 4),
                "load": load,
                "at": time.strftime("%Y-%m-%d %H:%M"),
            }
            self._write()
        return self._keys[key]["ours"], self._keys[key]["transformers"]

    def steps(self, who: str, run: Callable[[], list[float]]) -> list[float]:
        """Seconds of each step of an episode."""
        if who not in self._steps:
            self._steps[who] = run()
            self._write()
        return self._steps[who]

    def to_json(self, order: Sequence[str]) -> dict[str, Any]:
        """Ratios by key, and the seconds and loads behind them."""
        found = {key: self._keys[key] for key in order if key in self._keys}
        ratios = {key: round(kept["transformers"] / kept["ours"], 3) for key, kept in found.items()}
        return {"vs_transformers": ratios, "vs_llama": {}, "seconds": found, "cpus": os.cpu_count()}

    def table(self, order: Sequence[str]) -> Table:
        """The ratios, with what else ran on the machine before and after."""
        table = Table("what", "ours", "transformers", "ratio", "load", title="random weights, bfloat16 peer")
        for key, kept in ((key, self._keys[key]) for key in order if key in self._keys):
            ours, peer = kept["ours"], kept["transformers"]
            load = " to ".join(map(str, kept["load"]))
            table.add_row(key, f"{ours:.3f} s", f"{peer:.3f} s", f"{peer / ours:.2f} x", load)
        return table

    def _write(self) -> None:
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            draft = self._file.with_name(f".{self._file.name}.part")
            draft.write_text(json.dumps({"keys": self._keys, "steps": self._steps}, indent=2) + "\n", "utf-8")
            draft.replace(self._file)
