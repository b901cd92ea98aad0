"""Pages that mkdocs makes while it builds: the command line's, Python's, and the list of design notes.

mkdocs calls the functions named `on_…` (`hooks:` in mkdocs.yml).
"""

import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parent))
from reference import command_line_page, python_page

DOCS = Path(__file__).parent
WRITTEN_ELSEWHERE = {
    "Who may do what": "threat-model.md",
    "Endurance": "endurance.md",
    "Hostile input": "fuzzing.md",
    "Data card": "data-card.md",
    "Coverage of the tests": "coverage.md",
    "Versions of files": "formats.md",
    "macOS and Windows": "desktops.md",
    "Licences": "licences.md",
}
"""Pages of the section Results that stand in the menu where they are there."""


def on_config(config: Any) -> Any:
    """Fills the menu with what is there: those pages, and the design notes by number."""
    results = next(section["Results"] for section in config["nav"] if "Results" in section)
    results += [{title: name} for title, name in WRITTEN_ELSEWHERE.items() if (DOCS / name).is_file()]
    notes = sorted((DOCS / "design").glob("*.md"))
    config["nav"].append({"Decisions": [f"design/{note.name}" for note in notes]})
    return config


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages of the reference."""
    pages = {"reference/command-line.md": command_line_page(), "reference/python.md": python_page()}
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files
