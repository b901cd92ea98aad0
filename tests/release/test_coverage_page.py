"""The page that says what no test runs."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def coverage_page():
    """The script that writes the page."""
    spec = importlib.util.spec_from_file_location("coverage_page", ROOT / ".ci" / "coverage_page.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """What coverage itself says of a package with a function that runs and one that does not."""
    folder = tmp_path_factory.mktemp("measured")
    package = folder / "qwen2vl_agent" / "envs"
    package.mkdir(parents=True)
    (package / "tried.py").write_text("def used():\n    return 1\n\n\nused()\n")
    (package / "left.py").write_text("def unused():\n    a = 1\n    b = 2\n    return a + b\n")
    (folder / "run.py").write_text("import qwen2vl_agent.envs.tried, qwen2vl_agent.envs.left\n")
    for words in (["run", "--source=qwen2vl_agent", "run.py"], ["json", "--quiet", "-o", "coverage.json"]):
        subprocess.run([sys.executable, "-m", "coverage", *words], cwd=folder, check=True, env={"PYTHONPATH": "."})
    return json.loads((folder / "coverage.json").read_text())


def test_packages_have_their_share_and_files_that_are_mostly_untested_are_named(coverage_page, measured):
    page = coverage_page.page(measured, "this test")
    assert "that this test ran" in page
    assert "| envs | 7 | 57 % |" in page
    assert "| all | 7 | 57 % |" in page
    assert "| `envs/left.py` | 25 % | `unused` |" in page
    assert "tried.py" not in page


def test_reasons_are_of_places_that_exist(coverage_page):
    assert [name for name in coverage_page.WHY if not (ROOT / name).exists()] == []
