"""Every setting of the phone, as plain data: what there is, never what it is set to."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Toggle:
    """A switch."""

    id: str
    title: str


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several options, chosen on a page of its own."""

    id: str
    title: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Level:
    """A number from 0 to 10, stepped by two buttons."""

    id: str
    title: str


@dataclass(frozen=True, slots=True)
class Fact:
    """A line that can only be read."""

    id: str
    title: str
    value: str


@dataclass(frozen=True, slots=True)
class Group:
    """A page of settings."""

    id: str
    title: str
    icon: str
    items: "tuple[Item, ...]"
    summary: str = ""


Item = Toggle | Choice | Level | Fact | Group


def _toggles(prefix: str, **titles: str) -> tuple[Toggle, ...]:
    return tuple(Toggle(f"{prefix}.{name}", title) for name, title in titles.items())


SOUND_NAMES = (
    "Bell", "Chime", "Crystal", "Drops", "Flute", "Guitar", "Harp", "Marimba", "Orbit", "Piano", "Pulse", "Radar",
)  # fmt: skip
LANGUAGES = (
    "English", "French", "German", "Spanish", "Italian", "Dutch", "Polish", "Swedish", "Turkish", "Finnish", "Danish",
)  # fmt: skip
TIME_ZONES = (
    "London", "Paris", "Cairo", "Moscow", "Dubai", "Delhi", "Bangkok", "Tokyo", "Sydney", "Chicago", "Denver",
)  # fmt: skip

NETWORK = Group(
    "network", "Network", "wifi",
    (
        Group("wifi", "Wi-Fi", "wifi", (
            *_toggles("wifi", enabled="Use Wi-Fi", auto_connect="Auto connect", network_alerts="Network alerts",
                      metered="Metered network", scan_always="Always scan", random_address="Random address"),
            Choice("wifi.sharing", "Wi-Fi password",
                   ("Hidden", "Ask first", "Shared once", "Shared daily", "Shared weekly", "Family only", "Everyone")),
        )),
        Group("mobile", "Mobile data", "signal_cellular_4_bar", (
            *_toggles("mobile", enabled="Use mobile data", roaming="Roaming", wifi_calling="Wi-Fi calling",
                      data_warning="Data warning", data_limit="Data limit"),
            Choice("mobile.network_type", "Network type",
                   ("5G", "4G", "3G", "2G", "5G only", "4G only", "Automatic")),
        )),
        Toggle("network.airplane_mode", "Airplane mode"),
        Group("hotspot", "Hotspot", "wifi_tethering", (
            *_toggles("hotspot", enabled="Use hotspot", auto_off="Auto turn off", usb="USB tethering",
                      bluetooth="Bluetooth tethering", hidden="Hidden hotspot"),
        )),
        Toggle("network.data_saver", "Data saver"),
        Toggle("network.vpn", "VPN"),
        Choice("network.private_dns", "Private DNS",
               ("Off", "Automatic", "Quad", "Cloud", "Open", "Family", "Custom")),
    ),
    "Wi-Fi, mobile, hotspot",
)  # fmt: skip
DEVICES = Group(
    "devices", "Connected devices", "devices",
    _toggles("devices", bluetooth="Bluetooth", nfc="NFC", cast="Cast", nearby_share="Nearby share", printing="Printing",
             car_mode="Car mode", fast_pair="Fast pair"),
    "Bluetooth, cast, NFC",
)  # fmt: skip
DISPLAY = Group(
    "display", "Display", "brightness_6",
    (
        *_toggles("display", dark_theme="Dark theme", adaptive_brightness="Adaptive brightness",
                  night_light="Night light", auto_rotate="Auto rotate", always_on="Always on",
                  smooth="Smooth display", attention="Screen attention"),
        Level("display.brightness", "Brightness"),
        Choice("display.font_size", "Font size",
               ("Tiny", "Small", "Default", "Medium", "Large", "Larger", "Largest")),
        Choice("display.screen_timeout", "Screen timeout",
               ("15 seconds", "30 seconds", "1 minute", "2 minutes", "5 minutes", "10 minutes", "30 minutes")),
        Group("lock_screen", "Lock screen", "lock", (
            *_toggles("lock_screen", double_line="Two line clock", owner_text="Owner text",
                      device_controls="Device controls", wallet="Show wallet", camera="Camera shortcut"),
            Choice("lock_screen.shortcut", "Shortcut",
                   ("None", "Torch", "Camera", "Wallet", "Recorder", "Alarm", "Notes")),
        )),
    ),
    "Theme, brightness, fonts",
)  # fmt: skip
SOUND = Group(
    "sound", "Sound", "volume_up",
    (
        *(Level(f"sound.{name}_volume", f"{name.capitalize()} volume") for name in ("media", "call", "ring", "alarm")),
        *_toggles("sound", vibrate="Vibrate", do_not_disturb="Do not disturb", live_caption="Live caption",
                  spatial_audio="Spatial audio"),
        Choice("sound.ringtone", "Ringtone", SOUND_NAMES),
        Choice("sound.alarm_sound", "Alarm sound", SOUND_NAMES),
        Group("system_sounds", "System sounds", "music_note",
              _toggles("system_sounds", dial_tones="Dial tones", lock_sound="Lock sound", charging="Charging sound",
                       touch_sounds="Touch sounds", touch_vibration="Touch vibration")),
    ),
    "Volume, vibrate, ringtone",
)  # fmt: skip
NOTIFICATIONS = Group(
    "notifications", "Notifications", "notifications",
    (
        *_toggles("notifications", history="History", bubbles="Bubbles", lock_screen="On lock screen", dots="Icon dots",
                  snooze="Snooze", flash="Flash alerts", suggestions="Suggestions"),
        Choice("notifications.sound", "Alert sound", SOUND_NAMES),
    ),
    "History, bubbles, alerts",
)  # fmt: skip
BATTERY = Group(
    "battery", "Battery", "battery_full",
    (
        *_toggles("battery", saver="Battery saver", adaptive="Adaptive battery", percentage="Show percentage",
                  optimized_charging="Slow charging", share="Battery share"),
        Choice("battery.saver_schedule", "Saver schedule",
               ("Never", "At 5%", "At 10%", "At 15%", "At 20%", "At 30%", "At 50%")),
        Fact("battery.health", "Battery health", "Good"),
    ),
    "Saver, percentage",
)  # fmt: skip
STORAGE = Group(
    "storage",
    "Storage",
    "storage",
    (
        Toggle("storage.smart", "Smart storage"),
        Toggle("storage.trash", "Empty trash daily"),
        Fact("storage.apps", "App data", "18 GB"),
        Fact("storage.images", "Images", "9 GB"),
        Fact("storage.videos", "Videos", "21 GB"),
        Fact("storage.audio", "Audio", "4 GB"),
        Fact("storage.free", "Free", "76 GB"),
    ),
    "52 GB used",
)
APPS_PAGE = Group(
    "apps", "Apps", "apps",
    (
        *_toggles("apps", pause_unused="Pause unused", instant="Instant apps", auto_update="Auto update",
                  unknown_sources="Unknown sources", overlay="Draw over apps"),
        Choice("apps.browser", "Default browser",
               ("Browser", "Comet", "Falcon", "Harbor", "Lynx", "Orbit", "Swift")),
        Choice("apps.assistant", "Assistant", ("None", "Ava", "Echo", "Luna", "Max", "Nova", "Otto")),
    ),
    "Defaults, updates",
)  # fmt: skip
SECURITY = Group(
    "security", "Security", "security",
    (
        Choice("security.screen_lock", "Screen lock",
               ("None", "Swipe", "Pattern", "PIN", "Password", "Fingerprint", "Face")),
        *_toggles("security", find_device="Find my device", fingerprint="Fingerprint unlock", face="Face unlock",
                  show_passwords="Show passwords", app_pinning="App pinning", safety_scan="Safety scan",
                  sim_lock="SIM lock"),
    ),
    "Screen lock, scan",
)  # fmt: skip
PRIVACY = Group(
    "privacy", "Privacy", "visibility",
    _toggles("privacy", camera="Camera access", microphone="Microphone access", clipboard="Clipboard alerts",
             ads="Personal ads", usage="Usage reports", autofill="Autofill", activity="Activity log"),
    "Camera, microphone",
)  # fmt: skip
LOCATION = Group(
    "location", "Location", "location_on",
    (
        *_toggles("location", enabled="Use location", wifi_scanning="Wi-Fi scanning",
                  bluetooth_scanning="Bluetooth scanning", history="Location history", sharing="Location sharing",
                  emergency="Emergency location"),
        Choice("location.accuracy", "Accuracy",
               ("Exact", "High", "Street", "District", "City", "Region", "Country")),
    ),
    "Sharing, history",
)  # fmt: skip
ACCESSIBILITY = Group(
    "accessibility", "Accessibility", "accessibility",
    (
        *_toggles("accessibility", screen_reader="Screen reader", inversion="Color inversion", magnifier="Magnifier",
                  bold_text="Bold text", high_contrast="High contrast", mono_audio="Mono audio",
                  no_animations="No animations"),
        Choice("accessibility.touch_delay", "Touch delay",
               ("None", "Very short", "Short", "Normal", "Long", "Very long", "Maximum")),
    ),
    "Text, contrast, audio",
)  # fmt: skip
SYSTEM = Group(
    "system", "System", "tune",
    (
        Choice("system.language", "Language", LANGUAGES),
        Group("date_time", "Date and time", "schedule", (
            *_toggles("date_time", automatic="Automatic time", automatic_zone="Automatic zone",
                      use_24_hour="24-hour clock", show_seconds="Show seconds"),
            Choice("date_time.zone", "Time zone", TIME_ZONES),
            Choice("date_time.week_start", "Week starts",
                   ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")),
        )),
        Group("gestures", "Gestures", "gesture",
              _toggles("gestures", quick_tap="Quick tap", lift_to_wake="Lift to wake", flip_to_mute="Flip to mute",
                       one_handed="One-handed mode", shake_torch="Shake for torch", tap_to_wake="Tap to wake")),
        Group("backup", "Backup", "backup",
              _toggles("backup", enabled="Use backup", photos="Back up photos", messages="Back up messages",
                       calls="Back up calls", charging_only="Only charging", over_mobile="Over mobile data")),
        Toggle("system.auto_update", "System updates"),
        Toggle("system.developer_mode", "Developer mode"),
        Choice("system.temperature", "Units",
               ("Automatic", "Metric", "Imperial", "Celsius", "Fahrenheit", "Kelvin", "Mixed")),
    ),
    "Language, date, gestures",
)  # fmt: skip
ABOUT = Group(
    "about",
    "About phone",
    "info",
    (
        Fact("about.name", "Device name", "Virtual phone"),
        Fact("about.model", "Model", "VP 2"),
        Fact("about.version", "Android version", "15"),
        Fact("about.build", "Build", "VP2.240901"),
        Fact("about.storage", "Capacity", "128 GB"),
        Fact("about.memory", "Memory", "8 GB"),
    ),
    "Virtual phone",
)
ROOT = Group(
    "root", "Settings", "settings",
    (NETWORK, DEVICES, DISPLAY, SOUND, NOTIFICATIONS, BATTERY, STORAGE, APPS_PAGE, SECURITY, PRIVACY, LOCATION,
     ACCESSIBILITY, SYSTEM, ABOUT),
)  # fmt: skip


def walk(item: Item = ROOT) -> Iterator[Item]:
    """The item and everything below it, parents first."""
    yield item
    if isinstance(item, Group):
        for child in item.items:
            yield from walk(child)


def path_to(item_id: str) -> tuple[Group, ...]:
    """The groups to pass through from the root, root included, to the page that shows the item."""
    return _PATHS[item_id]


def _collect(group: Group, above: tuple[Group, ...], found: dict[str, tuple[Group, ...]]) -> None:
    for item in group.items:
        found[item.id] = (*above, group)
        if isinstance(item, Group):
            _collect(item, (*above, group), found)


_PATHS: dict[str, tuple[Group, ...]] = {}
_collect(ROOT, (), _PATHS)

ITEMS: dict[str, Item] = {item.id: item for item in walk()}
TOGGLES: tuple[Toggle, ...] = tuple(item for item in walk() if isinstance(item, Toggle))
CHOICES: tuple[Choice, ...] = tuple(item for item in walk() if isinstance(item, Choice))
LEVELS: tuple[Level, ...] = tuple(item for item in walk() if isinstance(item, Level))
MAX_LEVEL = 10
