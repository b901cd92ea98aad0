"""What the system itself shows: status bar, navigation bar, notices, quick settings."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime

from qwen2vl_agent.envs.virtual_phone import locales, navigation
from qwen2vl_agent.envs.virtual_phone.draw import Canvas, Rect
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.theme import Colour, Theme
from qwen2vl_agent.envs.virtual_phone.widgets import Handler, Paint, Placed, Target, label

STATUS_BAR_HEIGHT = 36.0
NAV_BAR_HEIGHT = 48.0
TOAST_HEIGHT = 66.0
WHITE: Colour = (255, 255, 255)
QUICK_TILES = (
    ("wifi.enabled", "Wi-Fi", "wifi"),
    ("devices.bluetooth", "Bluetooth", "bluetooth"),
    ("network.airplane_mode", "Airplane", "airplanemode_active"),
    ("sound.do_not_disturb", "Quiet", "do_not_disturb_on"),
    ("display.dark_theme", "Dark", "nights_stay"),
    ("display.auto_rotate", "Rotate", "screen_rotation"),
    ("location.enabled", "Location", "location_on"),
    ("battery.saver", "Saver", "battery_full"),
)
"""Setting, short label and icon of each quick tile."""
SHADE_DP = 96 + 84.0 * (len(QUICK_TILES) // 2) + 20
"""Height of the quick settings."""


def clock_text(state: PhoneState) -> str:
    """The time of day as the phone shows it."""
    now = datetime.fromtimestamp(state.now_s, UTC)
    if state.settings.get("date_time.use_24_hour", True):
        return f"{now:%H:%M}"
    return f"{(now.hour + 11) % 12 + 1}:{now:%M}"


def date_text(state: PhoneState) -> str:
    """The date, for example `Mon 3 March`."""
    return locales.date_text(state, datetime.fromtimestamp(state.now_s, UTC))


def status_icons(state: PhoneState) -> list[tuple[str, str]]:
    """Icon and description of each sign in the status bar, right to left."""
    on = state.settings.get
    icons = [("battery_full", f"Battery {state.battery}%")]
    if on("network.airplane_mode"):
        icons.append(("airplanemode_active", "Airplane mode"))
    elif on("mobile.enabled"):
        icons.append(("signal_cellular_4_bar", "Mobile signal"))
    if on("wifi.enabled") and not on("network.airplane_mode"):
        icons.append(("wifi", "Wi-Fi"))
    if on("devices.bluetooth"):
        icons.append(("bluetooth", "Bluetooth on"))
    if on("sound.do_not_disturb"):
        icons.append(("do_not_disturb_on", "Do not disturb"))
    if on("sound.vibrate"):
        icons.append(("vibration", "Vibrate"))
    if on("location.enabled"):
        icons.append(("location_on", "Location on"))
    return icons


def status_bar(state: PhoneState, screen: Rect, *, over_wallpaper: bool) -> Iterator[Placed]:
    """Clock on the left, signs on the right."""
    ink: Colour | str = WHITE if over_wallpaper else "text"
    middle = STATUS_BAR_HEIGHT / 2
    yield label(Rect(20, 0, 120, STATUS_BAR_HEIGHT), "system:clock", clock_text(state), 17, colour=ink, weight="medium")
    x = screen.right - 26.0
    if state.settings.get("battery.percentage"):
        box = Rect(screen.right - 70, 0, screen.right - 18, STATUS_BAR_HEIGHT)
        yield label(box, "system:battery", f"{state.battery}%", 15.5, colour=ink, align="right")
        x -= 42
    for icon, text in status_icons(state):
        yield _sign(x, middle, icon, text, ink)
        x -= 23


def _sign(x: float, y: float, icon: str, text: str, ink: Colour | str) -> Placed:
    def paint(canvas: Canvas, theme: Theme) -> None:
        canvas.icon(x, y, icon, 19, getattr(theme, ink) if isinstance(ink, str) else ink)

    return Placed(Rect(x - 10, y - 10, x + 10, y + 10), paint, Target(f"system:{icon}", "image", text))


def navigation_bar(screen: Rect, *, over_wallpaper: bool) -> Iterator[Placed]:
    """Back, home and recents."""
    top = screen.bottom - NAV_BAR_HEIGHT
    third = screen.width / 3
    keys: tuple[tuple[str, str, Handler], ...] = (
        ("back", "Back", navigation.back),
        ("home", "Home", navigation.go_home),
        ("recents", "Recents", navigation.show_recents),
    )
    for index, (name, text, on_tap) in enumerate(keys):
        rect = Rect(index * third, top, (index + 1) * third, screen.bottom)
        yield Placed(rect, _key_painter(name, rect, over_wallpaper), Target(f"system:{name}", "icon", text, on_tap))


def _key_painter(name: str, rect: Rect, over_wallpaper: bool) -> Paint:
    x, y = rect.centre

    def paint(canvas: Canvas, theme: Theme) -> None:
        ink = WHITE if over_wallpaper else theme.secondary_text
        if name == "back":
            canvas.icon(x, y, "arrow_left", 40, ink)
        elif name == "home":
            canvas.circle(x, y, 8.5, ink)
        else:
            canvas.round(Rect(x - 8, y - 8, x + 8, y + 8), 3, ink)

    return paint


def toast(text: str, body: Rect) -> Iterator[Placed]:
    """A short notice over the lower edge of the page."""
    rect = Rect(16, body.bottom - TOAST_HEIGHT, body.right - 16, body.bottom - 10)

    def paint(canvas: Canvas, theme: Theme) -> None:
        canvas.round(rect, 14, theme.text)

    yield Placed(rect, paint, Target("system:toast.surface", "image", "", blocks=True, listed=False))
    yield label(rect.inset(20, 0), "system:toast", text, 18, colour="background")


def shade(state: PhoneState, screen: Rect, say: locales.Translate) -> Iterator[Placed]:
    """The quick settings, pulled down over the page."""
    panel = screen._replace(bottom=SHADE_DP)

    def paint(canvas: Canvas, theme: Theme) -> None:
        canvas.shade(0.5)
        canvas.round(panel, 0, theme.background, 28)

    yield Placed(screen, paint, Target("shade:scrim", "image", "", _close_shade, listed=False))
    yield Placed(panel, None, Target("shade:surface", "image", "", blocks=True, listed=False))
    yield label(Rect(24, 24, 160, 88), "shade:clock", clock_text(state), 34, weight="medium")
    date = Rect(screen.right - 200, 24, screen.right - 24, 88)
    yield label(date, "shade:date", date_text(state), 18, colour="secondary_text", align="right")
    tiles = random.Random(state.seed).sample(QUICK_TILES, len(QUICK_TILES))
    for index, (setting, text, icon) in enumerate(tiles):
        each = (screen.width - 24) / 2
        left, top = 14 + each * (index % 2), 92 + 84.0 * (index // 2)
        spot, on = Rect(left, top, left + each - 8, top + 74), bool(state.settings.get(setting))
        yield _tile(spot, setting, say(text), icon, on)


def _tile(rect: Rect, setting: str, text: str, icon: str, on: bool) -> Placed:
    def paint(canvas: Canvas, theme: Theme) -> None:
        ink = theme.on_primary if on else theme.text
        canvas.round(rect, 26, theme.primary if on else theme.surface_high)
        canvas.icon(rect.left + 32, rect.centre[1], icon, 28, ink)
        canvas.text(rect.left + 56, rect.centre[1], text, 20, ink, weight="medium", max_width=rect.width - 62)

    def on_tap(state: PhoneState) -> None:
        state.settings[setting] = not state.settings.get(setting)

    return Placed(rect, paint, Target(f"shade:{setting}", "switch", text, on_tap, checked=on))


def _close_shade(state: PhoneState) -> None:
    state.shade_open = False
