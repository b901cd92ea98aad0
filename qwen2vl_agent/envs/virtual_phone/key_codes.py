"""Android's key codes, by number and name, and what the virtual phone makes of them.

Source: android.view.KeyEvent of the Android Open Source Project.
"""

from qwen2vl_agent.schema.actions import KeyName

CODES: dict[str, int] = {
    "HOME": 3, "BACK": 4, "CALL": 5, "ENDCALL": 6, "STAR": 17, "POUND": 18, "DPAD_UP": 19, "DPAD_DOWN": 20,
    "DPAD_LEFT": 21, "DPAD_RIGHT": 22, "DPAD_CENTER": 23, "VOLUME_UP": 24, "VOLUME_DOWN": 25, "POWER": 26, "CAMERA": 27,
    "CLEAR": 28, "COMMA": 55, "PERIOD": 56, "ALT_LEFT": 57, "ALT_RIGHT": 58, "SHIFT_LEFT": 59, "SHIFT_RIGHT": 60,
    "TAB": 61, "SPACE": 62, "ENTER": 66, "DEL": 67, "GRAVE": 68, "MINUS": 69, "EQUALS": 70, "LEFT_BRACKET": 71,
    "RIGHT_BRACKET": 72, "BACKSLASH": 73, "SEMICOLON": 74, "APOSTROPHE": 75, "SLASH": 76, "AT": 77, "FOCUS": 80,
    "PLUS": 81, "MENU": 82, "NOTIFICATION": 83, "SEARCH": 84, "MEDIA_PLAY_PAUSE": 85, "MEDIA_STOP": 86,
    "MEDIA_NEXT": 87, "MEDIA_PREVIOUS": 88, "PAGE_UP": 92, "PAGE_DOWN": 93, "ESCAPE": 111, "FORWARD_DEL": 112,
    "CTRL_LEFT": 113, "CTRL_RIGHT": 114, "CAPS_LOCK": 115, "META_LEFT": 117, "MOVE_HOME": 122, "MOVE_END": 123,
    "NUMPAD_ENTER": 160, "VOLUME_MUTE": 164, "APP_SWITCH": 187, "BRIGHTNESS_DOWN": 220, "BRIGHTNESS_UP": 221,
    "SLEEP": 223, "WAKEUP": 224, "CUT": 277, "COPY": 278, "PASTE": 279,
    **{str(digit): 7 + digit for digit in range(10)},
    **{letter: 29 + index for index, letter in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZ")},
}  # fmt: skip
HIGHEST = 316
"""Greatest key code there is (Android 14); higher numbers are unknown keys."""

PHONE_KEYS: dict[int, KeyName] = {
    CODES["HOME"]: "home",
    CODES["BACK"]: "back",
    CODES["ESCAPE"]: "back",
    CODES["MENU"]: "menu",
    CODES["ENTER"]: "enter",
    CODES["NUMPAD_ENTER"]: "enter",
    CODES["DEL"]: "delete",
    CODES["APP_SWITCH"]: "app_switch",
    CODES["VOLUME_UP"]: "volume_up",
    CODES["VOLUME_DOWN"]: "volume_down",
    CODES["POWER"]: "power",
    CODES["WAKEUP"]: "wakeup",
    CODES["SEARCH"]: "search",
}
"""The keys that the phone itself knows."""
CODE_OF_KEY: dict[KeyName, int] = {name: code for code, name in reversed(PHONE_KEYS.items())}
"""The code to send for each key of the action set."""

CHARACTERS: dict[int, str] = {
    **{CODES[name]: name.lower() for name in CODES if len(name) == 1},
    CODES["COMMA"]: ",", CODES["PERIOD"]: ".", CODES["SPACE"]: " ", CODES["GRAVE"]: "`", CODES["MINUS"]: "-",
    CODES["EQUALS"]: "=", CODES["LEFT_BRACKET"]: "[", CODES["RIGHT_BRACKET"]: "]", CODES["BACKSLASH"]: "\\",
    CODES["SEMICOLON"]: ";", CODES["APOSTROPHE"]: "'", CODES["SLASH"]: "/", CODES["AT"]: "@", CODES["PLUS"]: "+",
    CODES["STAR"]: "*", CODES["POUND"]: "#",
}  # fmt: skip
"""Keys that write a character."""


def key_code(text: str) -> int | None:
    """The code that a number, `KEYCODE_HOME` or `HOME` names; None where there is no such key."""
    if text.isascii() and text.isdigit():
        return int(text) if int(text) <= HIGHEST else None
    return CODES.get(text.removeprefix("KEYCODE_"))
