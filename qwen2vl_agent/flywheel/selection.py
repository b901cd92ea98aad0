"""A selection on disk: `selection.json` for the next step, `selection.md` for whoever wants to know why."""

import json
import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qwen2vl_agent.flywheel.candidate import candidate
from qwen2vl_agent.flywheel.select import SelectSettings, Verdict, select
from qwen2vl_agent.schema.errors import ConfigError, RecordError
from qwen2vl_agent.trajectory.frames import write_whole
from qwen2vl_agent.trajectory.store import episodes

FILE, PAGE = "selection.json", "selection.md"
VERSION = 1
RULES = {
    "kept": "learned from",
    "person": "learned from, with a person's corrections",
    "outcome": "the environment's check says otherwise",
    "length": "far longer than others of its task",
    "loop": "the same call on the same screen again and again",
    "mistakes": "more mistakes than lessons",
    "duplicate": "teaches the same as another",
    "contradiction": "does otherwise than a shorter one in the same situation",
    "balance": "too many of its task",
}


@dataclass(frozen=True, slots=True)
class Selected:
    """An episode to learn from."""

    folder: Path
    weight: float


def select_below(root: Path, settings: SelectSettings | None = None) -> list[Verdict]:
    """Verdicts on all finished episodes at or below a folder.

    Raises:
        RecordError: an episode is damaged.
    """
    return select([candidate(folder) for folder in episodes(root)], settings)


def write_selection(verdicts: Sequence[Verdict], out: Path) -> None:
    """Both files, in the folder `out`."""
    out.mkdir(parents=True, exist_ok=True)
    told = [_verdict_json(verdict, out) for verdict in verdicts]
    data = {"version": VERSION, "counts": dict(Counter(verdict.rule for verdict in verdicts)), "episodes": told}
    write_whole(out / FILE, (json.dumps(data, indent=1, ensure_ascii=False) + "\n").encode())
    write_whole(out / PAGE, page(verdicts).encode())


def read_selection(out: Path) -> list[Selected]:
    """The episodes to learn from.

    Raises:
        ConfigError: there is no selection.
        RecordError: it is damaged.
    """
    try:
        data = json.loads((out / FILE).read_text("utf-8"))
        kept = [entry for entry in data["episodes"] if entry["weight"] > 0]
        return [Selected(out / entry["folder"], float(entry["weight"])) for entry in kept]
    except OSError as error:
        raise ConfigError(f"{out} holds no selection ({FILE}); make one with `qwen2vl-agent select`") from error
    except (ValueError, KeyError, TypeError) as error:
        raise RecordError(f"{out / FILE} is damaged: {error!r}") from error


def page(verdicts: Sequence[Verdict]) -> str:
    """The report: how many each rule decided, the tasks, and every episode with its reason."""
    counts = Counter(verdict.rule for verdict in verdicts)
    kept = sum(verdict.kept for verdict in verdicts)
    lines = [f"# Selection: {kept} of {len(verdicts)} episodes are learned from", ""]
    lines += ["| rule | episodes | meaning |", "| --- | ---: | --- |"]
    lines += [f"| {rule} | {counts[rule]} | {meaning} |" for rule, meaning in RULES.items() if counts[rule]]
    lines += ["", "| task | episodes | learned from | steps to learn |", "| --- | ---: | ---: | ---: |"]
    by_task: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        by_task[verdict.candidate.task].append(verdict)
    for task, group in sorted(by_task.items()):
        taken = [verdict for verdict in group if verdict.kept]
        steps = sum(verdict.candidate.learned for verdict in taken)
        lines.append(f"| {task} | {len(group)} | {len(taken)} | {steps} |")
    words: Counter[str] = Counter()
    for verdict in verdicts:
        words.update(dict(verdict.candidate.words) if verdict.kept else {})
    lines += ["", "| whose words are learned | steps |", "| --- | ---: |"]
    lines += [f"| {name} | {count} |" for name, count in sorted(words.items())]
    lines += ["", "| episode | weight | rule | why |", "| --- | ---: | --- | --- |"]
    lines += [f"| {_name(one)} | {one.weight:g} | {one.rule} | {_cell(one.why)} |" for one in verdicts]
    return "\n".join(lines) + "\n"


def _verdict_json(verdict: Verdict, out: Path) -> dict[str, Any]:
    where = Path(os.path.relpath(verdict.folder, out)).as_posix()
    return {
        "folder": where,
        "task": verdict.candidate.task,
        "weight": verdict.weight,
        "rule": verdict.rule,
        "why": verdict.why,
    }


def _name(verdict: Verdict) -> str:
    """Of the episode's folder; one told anew has the name of the original, so it says what it is."""
    return f"{verdict.folder.name} (hindsight)" if verdict.candidate.missed else verdict.folder.name


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
