"""The apps that the editions of the phone have."""

import functools
from dataclasses import dataclass, replace

from qwen2vl_agent.envs.virtual_phone.locales import LOCALES, locale_of, table
from qwen2vl_agent.schema.errors import ConfigError


@dataclass(frozen=True, slots=True)
class App:
    """An installed app, as the launcher and the shell know it."""

    label: str
    package: str
    activity: str
    id: str
    """Short name, the first part of its elements' resource ids."""
    icon: str
    hue: float
    """Colour of its icon, in degrees of the Oklch circle."""
    main: bool = False
    """Whether the app keeps content of its own (the others only show a plausible page)."""


def _app(label: str, icon: str, hue: float, main: bool = False) -> App:
    name = label.lower()
    return App(label, f"org.virtualphone.{name}", f".{label}Activity", name, icon, hue, main)


APPS: tuple[App, ...] = (
    App("Settings", "com.android.settings", ".Settings", "settings", "settings", 260, True),
    App("Contacts", "com.android.contacts", ".activities.PeopleActivity", "contacts", "person", 250, True),
    App("Messages", "com.android.messaging", ".ui.ConversationListActivity", "messages", "message", 150, True),
    App("Clock", "com.android.deskclock", ".DeskClock", "clock", "access_time", 290, True),
    _app("Notes", "description", 85, True),
    App("Calculator", "com.android.calculator2", ".Calculator", "calculator", "calculate", 200, True),
    App("Camera", "com.android.camera2", ".CameraActivity", "camera", "photo_camera", 20),
    App("Gallery", "com.android.gallery3d", ".app.GalleryActivity", "gallery", "image", 330),
    _app("Music", "music_note", 45),
    _app("Maps", "place", 140),
    _app("Weather", "wb_sunny", 230),
    _app("Files", "folder", 70),
    App("Calendar", "com.android.calendar", ".AllInOneActivity", "calendar", "event", 240),
    App("Browser", "com.android.browser", ".BrowserActivity", "browser", "public", 215),
    App("Phone", "com.android.dialer", ".DialtactsActivity", "phone", "call", 145),
    _app("Mail", "mail", 28),
    _app("Games", "videogame_asset", 310),
    _app("Books", "book", 55),
)
LAUNCHER_PACKAGE = "com.android.launcher3"
LAUNCHER_ACTIVITY = ".Launcher"

MORE_APPS: tuple[App, ...] = (
    _app("Shop", "store", 350, True),
    App("To-do", "org.virtualphone.todo", ".TodoActivity", "todo", "checklist", 175, True),
    _app("Expenses", "payments", 110, True),
)
"""What the full edition has beside those."""

APP_BY_ID = {app.id: app for app in (*APPS, *MORE_APPS)}
APP_BY_PACKAGE = {app.package: app for app in (*APPS, *MORE_APPS)}


FULL = "full"
EDITIONS = ("first", FULL, *(f"{FULL}-{code}" for code in LOCALES))
"""`full-zh` is the full edition with its labels in that language (`locales.py`)."""


def check_edition(edition: str) -> None:
    """See that there is such an edition.

    Raises:
        ConfigError: there is none.
    """
    if edition not in EDITIONS:
        raise ConfigError(f"the virtual phone has no edition {edition!r}; expected one of {', '.join(EDITIONS)}")


def is_full(edition: str) -> bool:
    """Whether it is the full edition, in whatever language."""
    return edition.partition("-")[0] == FULL


@functools.cache
def installed(edition: str) -> tuple[App, ...]:
    """The apps of an edition, with their labels in its language."""
    apps = (*APPS, *MORE_APPS) if is_full(edition) else APPS
    if not locale_of(edition):
        return apps
    words = table(edition.partition("-")[2])
    return tuple(replace(app, label=words[app.label]) for app in apps)
