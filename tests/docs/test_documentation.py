"""README and the pages: command lines parse, links lead somewhere, Python compiles, drawings are true."""

import ast
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from qwen2vl_agent import cli

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
OURS = ("snippets", "drawing", "make_explanations", "make_data_card", "run_snippets", "reference")
LINK = re.compile(r"(?<!\\)\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+?)\s*$", re.MULTILINE)


@pytest.fixture(scope="module")
def made():
    """Imports a module that lies beside the pages."""
    sys.path.insert(0, str(DOCS))
    yield importlib.import_module
    sys.path.remove(str(DOCS))
    for name in OURS:
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def snippets(made) -> ModuleType:
    return made("snippets")


def all_pages() -> list[Path]:
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]


def test_every_command_line_of_ours_parses_with_the_real_parser(snippets, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))  # no defaults of the person who runs this
    wrong, parsed = [], 0
    for page in snippets.pages():
        for block in snippets.blocks(page):
            for line, command in snippets.commands(block) if block.language in ("sh", "") else ():
                shown = command.replace(" …", "").replace("$format", "messages")  # of a loop in exports.md
                words = snippets.our_words(shown) if "qwen2vl" in command else None
                if words is None:
                    continue
                parsed += 1
                try:
                    cli.read_command(words)
                except SystemExit as stop:
                    if stop.code:
                        wrong.append(f"{page.name}:{line}: {command}\n{capsys.readouterr().err}")
                except Exception as error:
                    wrong.append(f"{page.name}:{line}: {command}: {error}")
    assert not wrong, "\n".join(wrong)
    assert parsed > 80


def test_a_flag_that_no_command_has_is_noticed(snippets, capsys):
    words = snippets.our_words("FLAG=1 python -m qwen2vl_agent tasks --sweet phone | head")
    assert words == ["tasks", "--sweet", "phone"]
    with pytest.raises(SystemExit) as stop:
        cli.read_command(words)
    assert stop.value.code == 2


def test_continued_lines_and_comments_are_read_as_a_shell_does(snippets, tmp_path):
    block = snippets.Block(tmp_path, 10, "sh", "one --a \\\n  --b 2   # why\n\n# alone\ntwo 'x # y'")
    assert list(snippets.commands(block)) == [(10, "one --a   --b 2"), (14, "two 'x # y'")]


def test_every_block_of_python_compiles(snippets):
    found = [block for page in snippets.pages() for block in snippets.blocks(page) if block.language == "python"]
    for block in found:
        try:
            ast.parse(block.text)
        except SyntaxError as error:
            pytest.fail(f"{block.where}: {error}")
    assert len(found) >= 8


def anchors(page: Path) -> set[str]:
    """The ids of a page's headings, as mkdocs makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", name).strip().lower()) for name in HEADING.findall(text)}


def test_every_internal_link_leads_to_a_file_and_a_heading_that_exist():
    generated = {DOCS / "reference/command-line.md", DOCS / "reference/python.md"}
    wrong, followed = [], 0
    for page in all_pages():
        text = re.sub(r"^```.*?^```|`[^`\n]+`", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
        for target in LINK.findall(text):
            if re.match(r"[a-z]+:", target):
                continue
            name, _, anchor = target.partition("#")
            there = (page.parent / name).resolve() if name else page
            followed += 1
            if not there.exists() and there not in generated:
                wrong.append(f"{page.name}: there is no {target}")
            elif anchor and there.suffix == ".md" and there.exists() and anchor not in anchors(there):
                wrong.append(f"{page.name}: {there.name} has no heading #{anchor}")
    assert not wrong, "\n".join(wrong)
    assert followed > 60


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path):
    pytest.importorskip("material", reason="mkdocs-material is missing: make docs installs it")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site" / "reference").is_dir()


def test_every_page_stands_in_the_menu():
    menu = (ROOT / "mkdocs.yml").read_text("utf-8") + (DOCS / "site_hooks.py").read_text("utf-8")
    told = [page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md") if page.parent.name != "design"]
    assert [name for name in told if name not in menu] == []


def test_what_is_not_run_has_a_reason_that_names_a_test_that_exists(snippets, made):
    runner = made("run_snippets")
    reasons = [reason for _, reason in runner.NOT_RUN]
    reasons += [block.not_run for page in snippets.pages() for block in snippets.blocks(page) if block.not_run]
    named = [name for reason in reasons for name in re.findall(r"tests/[\w/]+\.py", reason)]
    assert [name for name in named if not (ROOT / name).is_file()] == []
    assert len(named) >= 6


@pytest.mark.parametrize(
    "name",
    ["data-flow.svg", "dynamic-resolution.svg", "mrope.svg", pytest.param("parallel-plan.svg", marks=pytest.mark.slow)],
)
def test_a_drawing_is_what_the_code_gives(made, name):
    draw = made("make_explanations").DRAWINGS[name]
    assert (DOCS / "images" / name).read_text("utf-8") == draw(), "python docs/make_explanations.py makes it new"


def test_listings_are_what_the_code_gives(made):
    explanations = made("make_explanations")
    for form, page in explanations.LISTINGS.items():
        text = page.read_text("utf-8")
        assert explanations.with_listing(text, form, explanations.as_seen(form)) == text


def test_the_data_card_tells_the_recipes_numbers(made):
    card = made("make_data_card")
    assert card.PAGE.read_text("utf-8") == card.card(), "python docs/make_data_card.py writes it new"
    assert set(card.SOURCES) == {name for shares in card.tiny_data.SHARES.values() for name in shares}


def test_the_reference_has_every_command_and_its_flags(made):
    page = made("reference").command_line_page()
    assert all(f"\n## {name}\n" in page for name in cli.COMMANDS)
    assert "### data build" in page
    assert "| `--quantize-vision` |" in page
