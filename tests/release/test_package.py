"""What a wheel carries, by the rules of pyproject.toml, and how much an import costs."""

import ast
import re
import subprocess
import sys
import time
import tomllib
from importlib import metadata, resources
from pathlib import Path

import pytest

import qwen2vl_agent

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "qwen2vl_agent"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
IMPORT_S, HELP_S = 0.2, 0.5
"""Beyond what a bare interpreter takes: the best of several, as other programs run beside the tests."""


def seconds(*words: str) -> float:
    """The best of five runs of the interpreter."""
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
        times.append(time.perf_counter() - begun)
    return min(times)


@pytest.mark.parametrize(
    ("words", "limit_s"),
    [(("-c", "import qwen2vl_agent"), IMPORT_S), (("-m", "qwen2vl_agent", "--help"), HELP_S)],
    ids=["import", "help"],
)
def test_a_cold_start_is_quick(words, limit_s):
    """`test_architecture.py` has what it must not load."""
    assert seconds(*words) - seconds("-c", "pass") < limit_s


def test_every_file_beside_the_code_is_covered_by_the_package_data():
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["qwen2vl_agent"]
    covered = {path for pattern in patterns for path in PACKAGE.glob(pattern) if path.is_file()}
    beside = {
        path
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc") and "__pycache__" not in path.parts
    }
    assert beside - covered == set()


def test_every_folder_of_code_is_a_package():
    """Else setuptools leaves it out."""
    folders = {path.parent for path in PACKAGE.rglob("*.py")}
    assert [folder for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []


def test_types_are_told_to_other_programs():
    assert resources.files("qwen2vl_agent").joinpath("py.typed").is_file()


def test_the_version_is_one_and_semantic():
    assert PROJECT["project"]["version"] == qwen2vl_agent.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", qwen2vl_agent.__version__)


def test_the_module_tells_its_version():
    words = [sys.executable, "-m", "qwen2vl_agent", "--version"]
    answer = subprocess.run(words, capture_output=True, text=True, check=True, cwd=ROOT)
    assert answer.stdout == f"qwen2vl-agent {qwen2vl_agent.__version__}\n"


def test_the_core_asks_for_nothing_that_it_does_not_import():
    imported = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            imported |= {name.partition(".")[0] for name in names}
    given: dict[str, set[str]] = {}
    for module, distributions in metadata.packages_distributions().items():
        for distribution in distributions:
            given.setdefault(re.sub(r"[-_.]+", "-", distribution).lower(), set()).add(module)
    asked = [re.split(r"[\[<>=!~; ]", text)[0] for text in PROJECT["project"]["dependencies"]]
    unused = [name for name in asked if not given[re.sub(r"[-_.]+", "-", name).lower()] & imported]
    assert unused == []


def test_the_core_asks_for_nothing_that_an_extra_is_for():
    names = {group: {re.split(r"[\[<>=!~; ]", text)[0] for text in asked} for group, asked in extras().items()}
    core = {re.split(r"[\[<>=!~; ]", text)[0] for text in PROJECT["project"]["dependencies"]}
    shared = {group: sorted(found & core) for group, found in names.items() if found & core}
    assert shared == {"games": ["gymnasium"]}  # with extras of its own


def extras() -> dict[str, list[str]]:
    """The optional dependencies, without the tools of development."""
    optional = PROJECT["project"]["optional-dependencies"]
    return {name: asked for name, asked in optional.items() if name not in ("dev", "all")}


def test_all_holds_every_extra_but_those_said_not_to():
    (every,) = PROJECT["project"]["optional-dependencies"]["all"]
    named = set(re.search(r"\[(.*)\]", every)[1].split(","))
    assert set(extras()) - named == {"ray", "docs"}  # for several machines; to build the pages


def test_the_licence_and_the_notice_are_shipped():
    assert PROJECT["project"]["license-files"] == ["LICENSE", "NOTICE"]
    assert all((ROOT / name).is_file() for name in PROJECT["project"]["license-files"])
