"""The apps of a phone, and which of them a name means."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from qwen2vl_agent.schema.errors import ActionRejected

LIST_COMMAND = "cmd package query-activities -a android.intent.action.MAIN -c android.intent.category.LAUNCHER"
ACTIVITY = re.compile(r"^\s*Activity #\d+:", re.MULTILINE)
NAME = re.compile(r"^\s*name=(\S+)", re.MULTILINE)
PACKAGE = re.compile(r"^\s*packageName=(\S+)", re.MULTILINE)
LABEL = re.compile(r"nonLocalizedLabel=(.*?) icon=")
MOST_NAMED = 40
"""How many apps a refusal lists."""


@dataclass(frozen=True, slots=True)
class InstalledApp:
    """An app that the launcher shows."""

    package: str
    activity: str
    label: str
    """Empty where the phone keeps it in the app's resources, which no shell command reads."""

    @property
    def component(self) -> str:
        """What `am start -n` takes."""
        return f"{self.package}/{self.activity}"

    @property
    def name(self) -> str:
        """The label, else the package."""
        return self.label or self.package


def parse_apps(listing: str) -> list[InstalledApp]:
    """The apps in what `LIST_COMMAND` answers."""
    apps = []
    for block in ACTIVITY.split(listing)[1:]:
        name, package = NAME.search(block), PACKAGE.search(block)
        if name and package:
            labels = [label for label in LABEL.findall(block) if label != "null"]
            apps.append(InstalledApp(package[1], name[1], labels[0] if labels else ""))
    return apps


def find_app(apps: Sequence[InstalledApp], name: str) -> InstalledApp:
    """The app that is called `name`: by its label, else by its package.

    Raises:
        ActionRejected: none is, or several are.
    """
    wanted = _letters(name)
    best = max((_likeness(app, wanted) for app in apps), default=0)
    found = [app for app in apps if _likeness(app, wanted) == best] if best and wanted else []
    if len(found) == 1:
        return found[0]
    names = ", ".join(app.name for app in (found or apps)[:MOST_NAMED])
    raise ActionRejected(f"{'several apps are' if found else 'no app is'} called {name!r}; there are {names}")


def _letters(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())


def _likeness(app: InstalledApp, wanted: str) -> int:
    """4 same label, 3 a part of the package, 2 the beginning of the label, 1 inside the package's last part; else 0."""
    label, parts = _letters(app.label), [_letters(part) for part in app.package.split(".")]
    if wanted in (label, _letters(app.package)):
        return 4
    if app.label:
        return 2 if label.startswith(wanted) else 0
    if wanted in parts[1:]:
        return 3
    return 1 if len(wanted) > 2 and wanted in parts[-1] else 0
