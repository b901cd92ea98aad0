"""Android's names for settings, as `settings get` takes them, and the virtual phone's settings behind them."""

from collections.abc import Callable
from dataclasses import dataclass

from qwen2vl_agent.envs.virtual_phone.settings_catalogue import MAX_LEVEL
from qwen2vl_agent.envs.virtual_phone.state import PhoneState, SettingValue

TIMEOUTS_S = {
    "15 seconds": 15, "30 seconds": 30, "1 minute": 60, "2 minutes": 120, "5 minutes": 300, "10 minutes": 600,
    "30 minutes": 1800,
}  # fmt: skip
FONT_SCALES = {
    "Tiny": "0.7", "Small": "0.85", "Default": "1.0", "Medium": "1.08", "Large": "1.15", "Larger": "1.3",
    "Largest": "1.5",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mapped:
    """A setting of the phone under Android's name."""

    id: str
    read: Callable[[SettingValue], str]
    write: Callable[[str], SettingValue]
    """Raises ValueError or KeyError for what cannot be set."""


def _switch(setting: str, on: str = "1", off: str = "0") -> Mapped:
    return Mapped(setting, lambda value: on if value else off, {on: True, off: False, "true": True}.__getitem__)


def _level(setting: str, highest: int) -> Mapped:
    return Mapped(
        setting,
        lambda value: str(round(int(value) * highest / MAX_LEVEL)),
        lambda text: round(min(max(int(text), 0), highest) * MAX_LEVEL / highest),
    )


def _table(setting: str, table: dict[str, str]) -> Mapped:
    back = {text: option for option, text in table.items()}
    return Mapped(setting, lambda value: table[str(value)], back.__getitem__)


NAMES: dict[str, dict[str, Mapped]] = {
    "system": {
        "screen_brightness": _level("display.brightness", 255),
        "screen_brightness_mode": _switch("display.adaptive_brightness"),
        "accelerometer_rotation": _switch("display.auto_rotate"),
        "screen_off_timeout": _table("display.screen_timeout", {key: f"{s}000" for key, s in TIMEOUTS_S.items()}),
        "font_scale": _table("display.font_size", FONT_SCALES),
        "time_12_24": _switch("date_time.use_24_hour", "24", "12"),
        "vibrate_when_ringing": _switch("sound.vibrate"),
        "volume_music": _level("sound.media_volume", 15),
        "volume_voice": _level("sound.call_volume", 10),
        "volume_ring": _level("sound.ring_volume", 7),
        "volume_alarm": _level("sound.alarm_volume", 7),
        "dtmf_tone": _switch("system_sounds.dial_tones"),
        "lockscreen_sounds_enabled": _switch("system_sounds.lock_sound"),
        "sound_effects_enabled": _switch("system_sounds.touch_sounds"),
        "haptic_feedback_enabled": _switch("system_sounds.touch_vibration"),
    },
    "global": {
        "airplane_mode_on": _switch("network.airplane_mode"),
        "wifi_on": _switch("wifi.enabled"),
        "wifi_scan_always_enabled": _switch("wifi.scan_always"),
        "mobile_data": _switch("mobile.enabled"),
        "data_roaming": _switch("mobile.roaming"),
        "bluetooth_on": _switch("devices.bluetooth"),
        "auto_time": _switch("date_time.automatic"),
        "auto_time_zone": _switch("date_time.automatic_zone"),
        "zen_mode": _switch("sound.do_not_disturb"),
        "low_power": _switch("battery.saver"),
        "development_settings_enabled": _switch("system.developer_mode"),
        "charging_sounds_enabled": _switch("system_sounds.charging"),
    },
    "secure": {
        "ui_night_mode": _switch("display.dark_theme", "2", "1"),
        "night_display_activated": _switch("display.night_light"),
        "doze_always_on": _switch("display.always_on"),
        "location_mode": _switch("location.enabled", "3", "0"),
        "notification_badging": _switch("notifications.dots"),
        "notification_bubbles": _switch("notifications.bubbles"),
        "accessibility_display_inversion_enabled": _switch("accessibility.inversion"),
        "accessibility_display_magnification_enabled": _switch("accessibility.magnifier"),
        "high_text_contrast_enabled": _switch("accessibility.high_contrast"),
        "wake_gesture_enabled": _switch("gestures.lift_to_wake"),
        "charging_vibration_enabled": _switch("system_sounds.charging"),
    },
}


def read(state: PhoneState, namespace: str, name: str) -> str | None:
    """The value as Android writes it; None where the phone has no such setting."""
    mapped = NAMES[namespace].get(name)
    return None if mapped is None or mapped.id not in state.settings else mapped.read(state.settings[mapped.id])


def write(state: PhoneState, namespace: str, name: str, text: str) -> bool:
    """Set it; False where the phone has no such setting.

    Raises:
        ValueError: the phone cannot take this value.
    """
    mapped = NAMES[namespace].get(name)
    if mapped is None or mapped.id not in state.settings:
        return False
    try:
        state.settings[mapped.id] = mapped.write(text)
    except (KeyError, ValueError):
        raise ValueError(f"{name} cannot be {text!r}") from None
    return True
