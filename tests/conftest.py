"""Tells at the end of a run which tests were left out, and what would let them run.

`--note-passed FILE` writes down which tests passed, `--without-passed FILE` leaves those out: `make test test-all` runs
no test twice, and still runs with every extra what was skipped for want of one.
"""

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

os.environ["QWEN2VL_AGENT_CONFIG"] = ""  # whoever runs the tests may have defaults of their own

NEEDS = {
    "slow": "run them with `make test-all`",
    "multiprocess": "run them with `make test-all`",
    "browser": "install Chromium and the browser extra, then `make test-all`",
    "desktop": "install Xvfb and the desktop extra, then `make test-all`",
    "device": "attach a phone and name it: QWEN2VL_AGENT_SERIAL=SERIAL make test-all",
    "gpu": "run `make test-all` on a machine with CUDA",
}
_left_out: Counter[str] = Counter()
_passed: list[str] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    """The two options of the Makefile."""
    parser.addoption("--note-passed", type=Path, metavar="FILE", help="write the names of the tests that pass")
    parser.addoption("--without-passed", type=Path, metavar="FILE", help="leave out the tests that are named there")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what passed before."""
    if file := config.getoption("--without-passed"):
        passed = set(file.read_text("utf-8").splitlines())
        _left_out["passed before"] = sum(item.nodeid in passed for item in items)
        items[:] = [item for item in items if item.nodeid not in passed]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Notes what passed; under pytest-xdist the process that reports hears of every test."""
    if report.when == "call" and report.passed:
        _passed.append(report.nodeid)


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Counts what `-m` and `-k` left out, by the first marker that explains it."""
    for item in items:
        marker = next((name for name in NEEDS if item.get_closest_marker(name)), None)
        if marker:
            _left_out[marker] += 1


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Writes what passed. Under pytest-xdist each worker collects everything and hands its count to the process that
    reports."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = dict(_left_out)
    elif file := session.config.getoption("--note-passed"):
        file.write_text("".join(f"{name}\n" for name in _passed), "utf-8")


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Takes a worker's count; all workers report the same one."""
    _left_out.update(Counter(getattr(node, "workeroutput", {}).get("left_out", {})) - _left_out)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for each kind of test that did not run."""
    if before := _left_out.pop("passed before", 0):
        terminalreporter.write_line(f"left out: {before} tests that passed in `make test` just before")
    for marker, count in sorted(_left_out.items()):
        terminalreporter.write_line(f"left out: {count} {marker} tests; {NEEDS[marker]}")
