"""Every promise of the threat model and of endurance names tests, and they exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "threat-model.md").read_text("utf-8")
NAME = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def promises() -> list[list[str]]:
    """The cells of the rows of all tables."""
    rows = [line.strip("| ").split(" | ") for line in TEXT.splitlines() if line.startswith("| ")]
    return [row for row in rows if row[0] != "promise" and not row[0].startswith("---")]


def test_every_promise_names_a_test():
    assert len(promises()) > 20
    assert [row[0] for row in promises() if len(row) != 2 or not NAME.search(row[1])] == []


@pytest.mark.parametrize("page", ["threat-model.md", "endurance.md"])
def test_the_tests_that_are_named_exist(page):
    named = NAME.findall((ROOT / "docs" / page).read_text("utf-8"))
    missing = []
    for file, name in named:
        tree = ast.parse((ROOT / file).read_text("utf-8"))
        functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        missing += [f"{file}::{name}"] if name not in functions else []
    assert named
    assert missing == []


def test_everyone_who_could_mean_ill_has_a_section():
    sections = [line[3:] for line in TEXT.splitlines() if line.startswith("## ")]
    for word in ("screen", "model", "address", "sites", "users", "Data sets", "Checkpoints"):
        assert any(word in section for section in sections), word
