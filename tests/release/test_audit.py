"""What the audit of installed packages makes of pip-audit's answers."""

import importlib.util
import json
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "audit.py"
CLEAN = {"name": "a", "version": "1", "vulns": []}
BAD = {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}]}


@pytest.fixture
def audited(monkeypatch, capsys):
    """Runs the script with an answer of pip-audit's; its status and what it printed."""
    spec = importlib.util.spec_from_file_location("audit", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def run(stdout: str, stderr: str = "", late: bool = False, installed: bool = True):
        def answer(command, **options):
            if late:
                raise subprocess.TimeoutExpired(command, 1)
            return subprocess.CompletedProcess(command, 0, stdout, stderr)

        monkeypatch.setattr(module.subprocess, "run", answer)
        monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: object() if installed else None)
        return module.main(), capsys.readouterr().out

    return run


@pytest.mark.parametrize(
    ("packages", "status", "told"),
    [
        ([CLEAN], 0, "1 of 1 packages looked up, 0 with a known vulnerability"),
        ([CLEAN, BAD], 1, "b 2: PYSEC-1, mended in 3"),
        ([{"name": "c", "skip_reason": "not on PyPI"}], 0, "nothing was audited"),
    ],
)
def test_a_known_vulnerability_fails_the_check(audited, packages, status, told):
    found, printed = audited(json.dumps({"dependencies": packages}))
    assert (found, told in printed) == (status, True)


@pytest.mark.parametrize("answer", [{"stdout": "", "stderr": "no route"}, {"stdout": "", "late": True}])
def test_without_a_network_the_check_passes_and_says_that_nothing_was_audited(audited, answer):
    status, printed = audited(**answer)
    assert (status, "nothing was audited" in printed) == (0, True)


def test_a_check_that_is_not_installed_fails(audited):
    assert audited("", installed=False)[0] == 1
