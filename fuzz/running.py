"""Targets in processes of their own, one after the other, with what they are at shown meanwhile."""

import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from fuzz.target import Finding, Prepared

START_S = 600.0
"""For a target's imports and seeds, by the clock, on a machine that may be busy."""
STILL_S = 300.0
"""By the clock, in which a process must come to another case; if not, it waits for something and is ended."""
IMPORTED = ("fuzz.registry", "av", "pyarrow", "qwen2vl_agent.model.qwen2vl", "qwen2vl_agent.serve.openai_api")
"""Once for all targets, by a process of which theirs are copies."""
MEMORY = Path("/dev/shm")
"""Folders of targets lie there where there is one: many write a file for every case."""
MOST_FINDINGS = 10
"""Of a target: told apart by where they arose; one is enough of each."""
MOST_CRASHES = 3
"""After which a target is given up."""


@dataclass(slots=True)
class Result:
    """What came of a target."""

    name: str
    first: int
    cases: int = 0
    taken: int = 0
    """Cases that were valid still."""
    seconds: float = 0.0
    """Of processor time."""
    findings: list[Finding] = field(default_factory=list)

    def add(self, finding: Finding) -> None:
        """Keep a finding, if none like it is there."""
        known = any((f.kind, f.where) == (finding.kind, finding.where) for f in self.findings)
        if not known and len(self.findings) < MOST_FINDINGS:
            self.findings.append(finding)


def run_targets(
    names: list[str], cases: int, seed: int, first: int, seconds: float | None, console: Console
) -> Iterator[Result]:
    """`cases` of each target, from number `first`; `seconds` of its processor time end a target early."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"),
               TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, console=console) as progress:
        for name in names:
            yield _run(name, cases, seed, first, seconds, progress)


def _run(name: str, cases: int, seed: int, first: int, seconds: float | None, progress: Progress) -> Result:
    result, bar, crashes = Result(name, first), progress.add_task(name, total=None if seconds else cases, rate=""), 0
    while result.cases < cases and crashes < MOST_CRASHES:
        died_at = _run_child(result, first + result.cases, first + cases, seed, seconds, (progress, bar))
        if died_at is None:
            break
        crashes += 1
        result.cases = died_at - first + 1
        result.add(Finding(name, died_at, "crash", "", "the process died, or hung where no signal reaches it"))
    return result


def _run_child(
    result: Result, start: int, end: int, seed: int, seconds: float | None, shown: tuple[Progress, Any]
) -> int | None:
    """Cases from `start` in a new process; the number of the case at which it died, if it did."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(IMPORTED))
    ours, theirs = context.Pipe()
    at = context.Value("q", start - 1)
    child = context.Process(target=_work, args=(result.name, start, end, seed, seconds, at, theirs), daemon=True)
    child.start()
    theirs.close()
    progress, bar = shown
    done_before, began, moved, last = result.cases, time.perf_counter(), time.monotonic(), start - 1
    report = None
    while report is None:
        if ours.poll(0.2):
            try:
                report = ours.recv()
            except EOFError:
                break
        if at.value != last:
            last, moved = at.value, time.monotonic()
        if time.monotonic() - moved > (START_S if last < start else STILL_S):
            child.kill()
            break
        rate = f"{(last - start + 1) / (time.perf_counter() - began):.0f}/s"
        progress.update(bar, completed=done_before + last - start + 1, rate=rate)
    child.join(5)
    if report is None:
        result.seconds += time.perf_counter() - began
        return max(int(at.value), start)
    if isinstance(report, str):
        result.add(Finding(result.name, start, "setup", "", f"the target could not be prepared: {report}"))
        return None
    count, taken, worked, findings = report
    result.cases, result.taken, result.seconds = done_before + count, result.taken + taken, result.seconds + worked
    for finding in findings:
        result.add(finding)
    progress.update(bar, completed=result.cases)
    return None


def _work(name: str, start: int, end: int, seed: int, seconds: float | None, at: Any, pipe: Any) -> None:
    """The child: tries its cases and reports their count, how many were taken, the time, and the findings."""
    import traceback

    from fuzz.registry import TARGETS

    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=MEMORY if MEMORY.is_dir() else None) as folder:
        try:
            prepared = Prepared(TARGETS[name], Path(folder))
        except Exception:
            pipe.send(traceback.format_exc())
            return
        kept, taken, began = Result(name, start), 0, time.process_time()
        for case in range(start, end):
            at.value = case
            outcome = prepared.try_case(seed, case)
            if isinstance(outcome, Finding):
                kept.add(outcome)
            else:
                taken += outcome
            if seconds is not None and time.process_time() - began > seconds:
                end = case + 1
                break
        pipe.send((end - start, taken, time.process_time() - began, kept.findings))
