"""What `inference.py` has measured, kept in a file from one run to the next."""

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.table import Table

Seconds = tuple[float, float]
"""Ours and the peer's."""


class Kept:
    """Seconds by key and the steps of episodes by who took them, written as soon as they are measured.

    llama.cpp's seconds stand under a key of their own, since it is not on every machine.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._keys: dict[str, dict[str, Any]] = {}
        self._steps: dict[str, list[float]] = {}
        self._llama: dict[str, dict[str, Any]] = {}
        if file is not None and file.is_file():
            found = json.loads(file.read_text("utf-8"))
            self._keys, self._steps = found["keys"], found["steps"]
            self._llama = found.get("llama", {})

    def seconds(self, key: str, measure: Callable[[], Seconds]) -> Seconds:
        """Of a key: the kept ones, or what `measure` finds."""
        if key not in self._keys:
            with _surroundings() as found:
                ours, peer = measure()
            self._keys[key] = {"ours": round(ours, 4), "transformers": round(peer, 4)} | found
            self._write()
        return self._keys[key]["ours"], self._keys[key]["transformers"]

    def of_llama(self, key: str, measure: Callable[[], float]) -> float:
        """llama.cpp's seconds of a key: the kept ones, or what `measure` finds."""
        if key not in self._llama:
            with _surroundings() as found:
                seconds = measure()
            self._llama[key] = {"seconds": round(seconds, 4)} | found
            self._write()
        return self._llama[key]["seconds"]

    def steps(self, who: str, run: Callable[[], list[float]]) -> list[float]:
        """Seconds of each step of an episode."""
        if who not in self._steps:
            self._steps[who] = run()
            self._write()
        return self._steps[who]

    def to_json(self, order: Sequence[str]) -> dict[str, Any]:
        """Ratios by key, and the seconds and loads behind them."""
        found = {key: self._keys[key] for key in order if key in self._keys}
        llama = {key: self._llama[key] for key in found if key in self._llama}
        return {
            "vs_transformers": {key: round(kept["transformers"] / kept["ours"], 3) for key, kept in found.items()},
            "vs_llama": {key: round(kept["seconds"] / found[key]["ours"], 3) for key, kept in llama.items()},
            "seconds": found,
            "llama": llama,
            "cpus": os.cpu_count(),
        }

    def table(self, order: Sequence[str]) -> Table:
        """The ratios, with what else ran on the machine before and after ours and transformers'."""
        titles = ("what", "ours", "transformers", "ratio", "load", "llama.cpp", "ratio")
        table = Table(*titles, title="random weights")
        for key, kept in ((key, self._keys[key]) for key in order if key in self._keys):
            ours, peer = kept["ours"], kept["transformers"]
            load = " to ".join(map(str, kept["load"]))
            llama = self._llama[key]["seconds"] if key in self._llama else None
            third = ("", "") if llama is None else (f"{llama:.3f} s", f"{llama / ours:.2f} x")
            table.add_row(key, f"{ours:.3f} s", f"{peer:.3f} s", f"{peer / ours:.2f} x", load, *third)
        return table

    def _write(self) -> None:
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            kept = {"keys": self._keys, "steps": self._steps, "llama": self._llama}
            draft = self._file.with_name(f".{self._file.name}.part")
            draft.write_text(json.dumps(kept, indent=2) + "\n", "utf-8")
            draft.replace(self._file)


@contextmanager
def _surroundings() -> Iterator[dict[str, Any]]:
    """When something is measured, and the machine's load before and after."""
    found: dict[str, Any] = {}
    before = os.getloadavg()[0]
    yield found
    found["load"] = [round(before, 1), round(os.getloadavg()[0], 1)]
    found["at"] = time.strftime("%Y-%m-%d %H:%M")
