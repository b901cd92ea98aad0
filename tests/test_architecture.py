"""The shape of the house: which way imports run, what a cold start loads, and how long files may grow."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "qwen2vl_agent"
SOURCES = sorted(PACKAGE.rglob("*.py"))
LONGEST_FILE, LONGEST_FUNCTION = 450, 80
HEAVY = {"torch", "transformers", "langgraph", "gymnasium", "numpy", "PIL", "av", "adbutils", "rich", "tyro"}


def imported_modules(tree: ast.AST) -> set[str]:
    """The first names of everything that a file imports, wherever in the file."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module.partition(".")[0])
    return names


def loaded_after(code: str) -> set[str]:
    """The first names of the modules that a fresh interpreter has loaded after running `code`."""
    command = [
        sys.executable,
        "-c",
        f"{code}\nimport sys\nprint(*sorted({{m.partition('.')[0] for m in sys.modules}}))",
    ]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return set(answer.stdout.splitlines()[-1].split())


def test_imports_run_one_way():
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert answer.returncode == 0, answer.stdout


def test_help_loads_nothing_heavy():
    loaded = loaded_after("from qwen2vl_agent.cli import main\nassert main(['--help']) == 0")
    assert not loaded & HEAVY


def test_the_flags_of_every_command_are_explained_without_loading_the_model_or_the_graph():
    code = """
from qwen2vl_agent.cli import COMMANDS, main
for name in COMMANDS:
    try:
        main([name, "--help"])
    except SystemExit as stop:
        assert stop.code == 0, name
"""
    assert not loaded_after(code) & {"torch", "transformers", "langgraph", "gymnasium"}


def test_importing_the_package_stays_cheap():
    assert not loaded_after("import qwen2vl_agent") & HEAVY


def test_only_the_graph_imports_langgraph():
    importers = [path for path in SOURCES if "langgraph" in imported_modules(ast.parse(path.read_text("utf-8")))]
    assert [path.relative_to(PACKAGE).as_posix() for path in importers] in ([], ["agent/graph.py"])


def test_nothing_imports_torchvision():
    assert not [path for path in SOURCES if "torchvision" in imported_modules(ast.parse(path.read_text("utf-8")))]


@pytest.mark.parametrize("room", ["schema", "envs", "trajectory"])
def test_light_rooms_import_neither_torch_nor_transformers_nor_langgraph(room):
    for path in sorted((PACKAGE / room).rglob("*.py")):
        assert not imported_modules(ast.parse(path.read_text("utf-8"))) & {"torch", "transformers", "langgraph"}, path


def test_no_file_outgrows_a_reader():
    lengths = {path.relative_to(ROOT).as_posix(): len(path.read_text("utf-8").splitlines()) for path in SOURCES}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}


def test_no_function_outgrows_a_reader():
    too_long = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > LONGEST_FUNCTION:
                    too_long.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name} has {length} lines")
    assert too_long == []


def test_every_module_says_what_it_gives():
    texts = {path: path.read_text("utf-8") for path in SOURCES}
    assert [path for path, text in texts.items() if text.strip() and not ast.get_docstring(ast.parse(text))] == []
