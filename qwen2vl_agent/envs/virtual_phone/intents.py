"""Intents: how `am start` names what it wants, and which app and page of the phone answer."""

from dataclasses import dataclass, field

from qwen2vl_agent.envs.virtual_phone.app_list import APP_BY_ID, APP_BY_PACKAGE, LAUNCHER_ACTIVITY, LAUNCHER_PACKAGE

VALUE_OPTIONS = frozenset(
    [
        "-f",
        "-t",
        "-p",
        "-i",
        "--user",
        "--display",
        "--windowingMode",
        "--activityType",
        "-P",
        "--start-profiler",
        "--sampling",
        "--receiver-permission",
        "--splash-screen-style",
        "-R",
    ]
)
"""Options with a value that changes nothing here."""
EXTRA_OPTIONS = {
    "-e": 2, "--es": 2, "--ez": 2, "--ei": 2, "--el": 2, "--ef": 2, "--ed": 2, "--eu": 2, "--ecn": 2, "--eia": 2,
    "--eial": 2, "--ela": 2, "--elal": 2, "--efa": 2, "--efal": 2, "--esa": 2, "--esal": 2, "--esn": 1,
}  # fmt: skip
"""Extras and how many values follow each. Source: Intent.parseCommandArgs."""
MAIN, VIEW, SENDTO = "android.intent.action.MAIN", "android.intent.action.VIEW", "android.intent.action.SENDTO"

SETTINGS_PAGES = {
    "SETTINGS": "root",
    "WIFI_SETTINGS": "wifi",
    "WIFI_IP_SETTINGS": "wifi",
    "WIRELESS_SETTINGS": "network",
    "NETWORK_PROVIDER_SETTINGS": "network",
    "AIRPLANE_MODE_SETTINGS": "network",
    "VPN_SETTINGS": "network",
    "DATA_USAGE_SETTINGS": "mobile",
    "DATA_ROAMING_SETTINGS": "mobile",
    "NETWORK_OPERATOR_SETTINGS": "mobile",
    "TETHER_SETTINGS": "hotspot",
    "BLUETOOTH_SETTINGS": "devices",
    "NFC_SETTINGS": "devices",
    "CAST_SETTINGS": "devices",
    "DISPLAY_SETTINGS": "display",
    "NIGHT_DISPLAY_SETTINGS": "display",
    "DARK_THEME_SETTINGS": "display",
    "LOCK_SCREEN_SETTINGS": "lock_screen",
    "SOUND_SETTINGS": "sound",
    "NOTIFICATION_SETTINGS": "notifications",
    "ALL_APPS_NOTIFICATION_SETTINGS": "notifications",
    "BATTERY_SAVER_SETTINGS": "battery",
    "INTERNAL_STORAGE_SETTINGS": "storage",
    "MEMORY_CARD_SETTINGS": "storage",
    "APPLICATION_SETTINGS": "apps",
    "MANAGE_APPLICATIONS_SETTINGS": "apps",
    "MANAGE_ALL_APPLICATIONS_SETTINGS": "apps",
    "SECURITY_SETTINGS": "security",
    "BIOMETRIC_ENROLL": "security",
    "PRIVACY_SETTINGS": "privacy",
    "LOCATION_SOURCE_SETTINGS": "location",
    "ACCESSIBILITY_SETTINGS": "accessibility",
    "CAPTIONING_SETTINGS": "accessibility",
    "SYSTEM_SETTINGS": "system",
    "LOCALE_SETTINGS": "system",
    "APPLICATION_DEVELOPMENT_SETTINGS": "system",
    "DATE_SETTINGS": "date_time",
    "GESTURE_SETTINGS": "gestures",
    "DEVICE_INFO_SETTINGS": "about",
}
"""`android.settings.<name>` and the group of settings that it opens. Source: android.provider.Settings."""
ACTION_APPS = {
    "android.intent.action.DIAL": "phone",
    "android.intent.action.CALL": "phone",
    "android.intent.action.CALL_BUTTON": "phone",
    "android.intent.action.INSERT": "contacts",
    "android.intent.action.SET_ALARM": "clock",
    "android.intent.action.SHOW_ALARMS": "clock",
    "android.intent.action.SET_TIMER": "clock",
    "android.intent.action.SHOW_TIMERS": "clock",
    "android.intent.action.WEB_SEARCH": "browser",
    "android.media.action.STILL_IMAGE_CAMERA": "camera",
    "android.media.action.IMAGE_CAPTURE": "camera",
    "android.media.action.VIDEO_CAMERA": "camera",
    "android.media.action.VIDEO_CAPTURE": "camera",
    "android.intent.action.MUSIC_PLAYER": "music",
}
SCHEME_APPS = {
    "sms": "messages", "smsto": "messages", "mms": "messages", "mmsto": "messages", "tel": "phone", "http": "browser",
    "https": "browser", "geo": "maps", "mailto": "mail", "market": "games",
}  # fmt: skip
CONTENT_APPS = {"com.android.contacts": "contacts", "contacts": "contacts", "com.android.calendar": "calendar"}
CATEGORY_APPS = {
    "android.intent.category.APP_CALCULATOR": "calculator",
    "android.intent.category.APP_CALENDAR": "calendar",
    "android.intent.category.APP_CONTACTS": "contacts",
    "android.intent.category.APP_MESSAGING": "messages",
    "android.intent.category.APP_MUSIC": "music",
    "android.intent.category.APP_GALLERY": "gallery",
    "android.intent.category.APP_BROWSER": "browser",
    "android.intent.category.APP_MAPS": "maps",
    "android.intent.category.APP_EMAIL": "mail",
    "android.intent.category.APP_FILES": "files",
    "android.intent.category.APP_WEATHER": "weather",
}


@dataclass(slots=True)
class Intent:
    """What a command line asked to be started or told."""

    action: str = ""
    data: str = ""
    package: str = ""
    component: str = ""
    categories: list[str] = field(default_factory=list)
    extras: dict[str, str] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)
    """Options without a value: `-W`, `-S` …"""

    def __str__(self) -> str:
        """As Android prints it."""
        parts = [f"act={self.action}"] if self.action else []
        parts += [f"cat=[{','.join(self.categories)}]"] if self.categories else []
        if self.data:
            scheme, _, rest = self.data.partition(":")
            parts.append(f"dat={scheme}:{'...' if rest else ''}")
        parts += [f"pkg={self.package}"] if self.package else []
        parts += [f"cmp={self.component}"] if self.component else []
        parts += ["(has extras)"] if self.extras else []
        return f"Intent {{ {' '.join(parts)} }}" if parts else "Intent {  }"


class BadIntent(Exception):
    """The arguments make no intent; the text is Android's."""


def parse_intent(args: list[str]) -> Intent:
    """The intent of `am start` and `am broadcast` arguments.

    Raises:
        BadIntent: an option without its value, or one that does not exist.
    """
    intent, rest = Intent(), list(args)
    while rest:
        item = rest.pop(0)
        if item in EXTRA_OPTIONS:
            values = [_next(item, rest) for _ in range(EXTRA_OPTIONS[item])]
            intent.extras[values[0]] = (values[1:] or [""])[0]
        elif item in ("-a", "-d", "-n", "-p", "-c"):
            _set(intent, item, _next(item, rest))
        elif item in VALUE_OPTIONS:
            _next(item, rest)
        elif item.startswith("-"):
            if not item.startswith("--") and len(item) != 2:
                raise BadIntent(f"java.lang.IllegalArgumentException: Unknown option: {item}")
            intent.flags.add(item)
        elif ":" in item:
            intent.data = item
        elif "/" in item:
            intent.component = item
        else:
            intent.package = item
    return intent


def _next(option: str, rest: list[str]) -> str:
    if not rest:
        raise BadIntent(f'java.lang.IllegalArgumentException: Argument expected after "{option}"')
    return rest.pop(0)


def _set(intent: Intent, option: str, value: str) -> None:
    if option == "-c":
        intent.categories.append(value)
    else:
        setattr(intent, {"-a": "action", "-d": "data", "-n": "component", "-p": "package"}[option], value)


def resolve(intent: Intent) -> tuple[str, str | None] | None:
    """Package and page that answer; the page is None for wherever the app stands. None where nothing answers."""
    if intent.component:
        return _by_component(intent.component)
    if "android.intent.category.HOME" in intent.categories:
        return LAUNCHER_PACKAGE, None
    if intent.action.startswith("android.settings."):
        page = SETTINGS_PAGES.get(intent.action.removeprefix("android.settings."))
        return (APP_BY_ID["settings"].package, page) if page else None
    app_id = _app_of(intent)
    if app_id:
        return APP_BY_ID[app_id].package, None
    return (intent.package, None) if intent.package in (*APP_BY_PACKAGE, LAUNCHER_PACKAGE) else None


def _app_of(intent: Intent) -> str | None:
    for category in intent.categories:
        if category in CATEGORY_APPS:
            return CATEGORY_APPS[category]
    if intent.action in ACTION_APPS:
        return ACTION_APPS[intent.action]
    if intent.action in (VIEW, SENDTO, ""):
        scheme, _, rest = intent.data.partition(":")
        if scheme == "content":
            return CONTENT_APPS.get(rest.lstrip("/").split("/")[0])
        return SCHEME_APPS.get(scheme)
    return None


def _by_component(component: str) -> tuple[str, str | None] | None:
    package, _, activity = component.partition("/")
    full = package + activity if activity.startswith(".") else activity
    if package == LAUNCHER_PACKAGE:
        return (package, None) if full == package + LAUNCHER_ACTIVITY else None
    app = APP_BY_PACKAGE.get(package)
    if app is None:
        return None
    if app.id == "settings" and full.startswith("com.android.settings.Settings$"):
        page = SETTINGS_PAGES.get(_screaming(full.rpartition("$")[2].removesuffix("Activity")))
        return (package, page) if page else None
    return (package, None) if full == package + app.activity else None


def _screaming(name: str) -> str:
    """`WifiSettings` -> `WIFI_SETTINGS`."""
    return "".join("_" + letter if letter.isupper() and index else letter for index, letter in enumerate(name)).upper()
