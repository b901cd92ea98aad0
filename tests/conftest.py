"""Tells at the end of a run which tests were left out, and what would let them run."""

import os
from collections import Counter
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


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Counts what `-m` and `-k` left out, by the first marker that explains it."""
    for item in items:
        marker = next((name for name in NEEDS if item.get_closest_marker(name)), None)
        if marker:
            _left_out[marker] += 1


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Under pytest-xdist each worker collects everything and hands its count to the process that reports."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = dict(_left_out)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Takes a worker's count; all workers report the same one."""
    _left_out.update(Counter(getattr(node, "workeroutput", {}).get("left_out", {})) - _left_out)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for each kind of test that did not run."""
    for marker, count in sorted(_left_out.items()):
        terminalreporter.write_line(f"left out: {count} {marker} tests; {NEEDS[marker]}")
