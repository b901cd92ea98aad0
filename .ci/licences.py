"""Writes docs/licences.md: each direct dependency, its licence as its own metadata states it, and why it is there.

`python .ci/licences.py` writes the page; with `--check` it fails where the page and pyproject.toml differ.
"""

import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "licences.md"
ROW = re.compile(r"^\| ([\w.-]+) \| ([^|]*) \| ([^|]*) \|$", re.MULTILINE)
HEAD = """# Licences of the dependencies

Written by `python .ci/licences.py` from what the packages' own metadata states; a test holds it to `pyproject.toml`.
None of them is shipped with the project: pip fetches them, those of an extra only with it. Two are under the GPL:
`ale-py`, only with `[games]`, and `codespell`, a tool that is run beside the code.

| package | for | licence |
| --- | --- | --- |
"""
UNKNOWN = "not installed where this was written"


def direct_dependencies() -> dict[str, list[str]]:
    """Names of packages, each with what asks for it: `core` or the names of extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    groups = {"core": project["dependencies"], **project["optional-dependencies"]}
    found: dict[str, list[str]] = {}
    for group, requirements in groups.items():
        for requirement in requirements:
            name = re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0]
            if name != project["name"] and group not in found.setdefault(name, []):
                found[name].append(group)
    return found


def licence_of(name: str) -> str | None:
    """What a package's metadata states; None where it is not installed."""
    try:
        stated = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return None
    if expression := stated.get("License-Expression"):
        return expression
    classes = [
        text.rsplit(" :: ", 1)[-1] for text in stated.get_all("Classifier") or [] if text.startswith("License ::")
    ]
    if classes and classes != ["OSI Approved"]:
        return ", ".join(classes)
    first_line = (stated.get("License") or "").strip().split("\n")[0]
    return first_line[:60] or "not stated"


def listed() -> dict[str, tuple[str, str]]:
    """What the page says of each package: what it is for, and its licence."""
    text = PAGE.read_text("utf-8") if PAGE.exists() else ""
    return {name: (groups, licence) for name, groups, licence in ROW.findall(text) if name not in ("package", "---")}


def page() -> str:
    """The page; of a package that is not installed here it keeps what it said before."""
    before, rows = listed(), []
    for name, groups in sorted(direct_dependencies().items(), key=lambda item: item[0].lower()):
        licence = licence_of(name) or before.get(name, ("", UNKNOWN))[1]
        rows.append(f"| {name} | {', '.join(groups)} | {licence} |\n")
    return HEAD + "".join(rows)


def main() -> int:
    """Status 1 when the page is out of date and only a check was asked for."""
    if "--check" not in sys.argv:
        PAGE.write_text(page(), "utf-8")
        return 0
    said = {name: groups for name, (groups, _) in listed().items()}
    wanted = {name: ", ".join(groups) for name, groups in direct_dependencies().items()}
    if said != wanted:
        print(f"{PAGE}: out of date; run python .ci/licences.py", file=sys.stderr)
    return int(said != wanted)


if __name__ == "__main__":
    sys.exit(main())
