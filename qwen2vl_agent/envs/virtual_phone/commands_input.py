"""`input`, `getevent` and `sendevent`: touches, keys and text, with Android's arguments and its complaints."""

import math
import re
from collections.abc import Callable

from qwen2vl_agent.envs.virtual_phone.key_codes import CHARACTERS, CODES, PHONE_KEYS, key_code
from qwen2vl_agent.envs.virtual_phone.shell import Call, Handler
from qwen2vl_agent.envs.virtual_phone.system import System
from qwen2vl_agent.envs.virtual_phone.touch_panel import PATH, Finger

SOURCES = frozenset(
    [
        "dpad",
        "gamepad",
        "joystick",
        "keyboard",
        "mouse",
        "rotaryencoder",
        "stylus",
        "touchnavigation",
        "touchpad",
        "touchscreen",
        "trackball",
    ]
)
SWIPE_MS = 300
"""How long a swipe takes unless told. Source: InputShellCommand.sendSwipe."""
LONG_PRESS_MS = 400
"""A touch held longer is a long press. Source: ViewConfiguration.DEFAULT_LONG_PRESS_TIMEOUT."""
STILL_PX = 8
"""A finger that moves less does not swipe; in dp. Source: ViewConfiguration.TOUCH_SLOP."""
LOCK_KEYS = {CODES["ENTER"]: "↵", CODES["NUMPAD_ENTER"]: "↵", CODES["DEL"]: "⌫"} | {CODES[d]: d for d in "0123456789"}
"""What the lock screen's pad takes from keys."""
AWAKE_KEYS = frozenset(CODES[name] for name in ("POWER", "SLEEP", "WAKEUP", "VOLUME_UP", "VOLUME_DOWN"))
"""Keys that work on the lock screen, too."""
NUMBER = re.compile(r"[-+]?\d{1,7}(\.\d{0,9})?", re.ASCII)
FAILED = 255
"""Exit status of a command that threw."""
USAGE = """Usage: input [<source>] [-d DISPLAY_ID] <command> [<arg>...]

The commands and default sources are:
      text <string> (Default: keyboard)
      keyevent [--longpress|--doubletap|--async|--delay <duration between keycodes in ms>] <key code number or name> ...
      tap <x> <y> (Default: touchscreen)
      swipe <x1> <y1> <x2> <y2> [duration(ms)] (Default: touchscreen)
      draganddrop <x1> <y1> <x2> <y2> [duration(ms)] (Default: touchscreen)
      press (Default: trackball)
      roll <dx> <dy> (Default: trackball)
      motionevent <DOWN|UP|MOVE|CANCEL> <x> <y> (Default: touchscreen)
      keycombination [-t duration(ms)] <key code 1> <key code 2> ... (Default: keyboard)"""


SEALED = "Permission denied"
"""What the kernel answers where a shell may not write to the touch panel."""


class BadInput(Exception):
    """The arguments do not make sense; the text is what Android's exception says."""


def run_input(call: Call) -> int:
    """One input command."""
    args = list(call.args)
    if args and args[0] in SOURCES:
        args.pop(0)
    if args[:1] == ["-d"]:
        args = args[2:]
    if not args:
        return call.fail(USAGE, FAILED)
    name, rest = args[0], args[1:]
    if name not in ACTIONS or (name == "keycombination" and call.system.faults.faults.old_input):
        return call.fail(f"Error: Unknown command: {name}\n{USAGE}", FAILED)
    if call.system.faults.input_is_lost():
        return 0
    try:
        ACTIONS[name](call.system, rest)
    except BadInput as error:
        return call.fail(f"\nException occurred while executing '{name}':\n{error}", FAILED)
    call.system.rotation = call.system.faults.turn(call.system.rotation)
    return 0


def _numbers(args: list[str], least: int) -> list[float]:
    if len(args) < least:
        raise BadInput('java.lang.IllegalArgumentException: Argument expected after "' + (args or [""])[-1] + '"')
    for item in args:
        if not NUMBER.fullmatch(item):
            raise BadInput(f'java.lang.NumberFormatException: For input string: "{item}"')
    return [float(item) for item in args]


def _pixel(system: System, x: float, y: float) -> tuple[int, int] | None:
    """The phone's own pixel at a place of the screen; None off its picture, where touches go nowhere."""
    x, y = system.turning.inward(x, y)
    width, height = system.phone.size
    inside = 0 <= x < width and 0 <= y < height
    return (int(x), int(y)) if inside else None


def _clamped(system: System, x: float, y: float) -> tuple[int, int]:
    x, y = system.turning.inward(x, y)
    width, height = system.phone.size
    return int(min(max(x, 0), width - 1)), int(min(max(y, 0), height - 1))


def tap(system: System, args: list[str]) -> None:
    """`tap X Y`."""
    x, y = _numbers(args[:2], 2)
    system.all_selected = False
    system.touches = [*system.touches[-9:], (x, y)]
    pixel = _pixel(system, x, y)
    if pixel and system.lock:
        system.touch_lock(*pixel, *pixel)
    elif pixel:
        system.phone.tap(*pixel)


def swipe(system: System, args: list[str]) -> None:
    """`swipe X1 Y1 X2 Y2 [MS]`; a finger that does not move is a tap or a long press."""
    numbers = _numbers(args[:5], 4)
    x1, y1, x2, y2 = numbers[:4]
    milliseconds = numbers[4] if len(numbers) > 4 and numbers[4] >= 0 else SWIPE_MS
    system.all_selected = False
    if _pixel(system, x1, y1) is None:
        return
    start, end = _clamped(system, x1, y1), _clamped(system, x2, y2)
    slop = STILL_PX * system.phone.size[0] / 360
    if system.lock:
        system.touch_lock(*start, *end)
    elif abs(end[0] - start[0]) < slop and abs(end[1] - start[1]) < slop:
        if milliseconds > LONG_PRESS_MS:
            system.phone.long_press(*start, milliseconds / 1000)
        else:
            system.phone.tap(*start)
    else:
        system.phone.swipe(*start, *end, milliseconds / 1000)


def motion_event(system: System, args: list[str]) -> None:
    """`motionevent DOWN|MOVE|UP X Y`: the phone sees the touch when the finger lifts, where it lifts."""
    if not args or args[0].upper() not in ("DOWN", "MOVE", "UP", "CANCEL"):
        raise BadInput("java.lang.IllegalArgumentException: Unknown action: " + (args or [""])[0])
    x, y = _numbers(args[1:3], 2)
    if args[0].upper() == "DOWN":
        system.finger_down = (x, y)
        system.touches = [*system.touches[-9:], (x, y)]
    elif args[0].upper() == "UP" and system.finger_down is not None:
        start, system.finger_down = system.finger_down, None
        swipe(system, [str(number) for number in (*start, x, y)])
    elif args[0].upper() == "CANCEL":
        system.finger_down = None


def text(system: System, args: list[str]) -> None:
    """`text STRING`: `%s` is a space; what no key of the virtual keyboard writes throws, as on Android."""
    if not args:
        raise BadInput('java.lang.IllegalArgumentException: Argument expected after "text"')
    if any(not (" " <= character <= "~" or character in "\t\n") for character in args[0]):
        raise BadInput(
            "java.lang.NullPointerException: Attempt to get length of null array\n"
            "\tat com.android.server.input.InputShellCommand.sendText(InputShellCommand.java:316)"
        )
    type_text(system, _unescape(args[0]))


def _unescape(raw: str) -> str:
    """Spaces for `%s`, character by character as Android does it. Source: InputShellCommand.sendText."""
    characters, after_percent = list[str](), False
    for character in raw:
        if after_percent and character == "s":
            characters[-1] = " "
            after_percent = False
        else:
            characters.append(character)
            after_percent = character == "%"
    return "".join(characters)


def type_text(system: System, typed: str) -> None:
    """Type into the focused field, over what is selected."""
    typed = system.faults.garbled(typed)
    if system.lock:
        for digit in filter(str.isdigit, typed):
            system.key_lock(digit)
        return
    if system.all_selected:
        clear_field(system)
    system.phone.type_text(typed)


def clear_field(system: System) -> None:
    """Empty the focused field."""
    system.all_selected = False
    system.phone.clear_text()


def key_events(system: System, args: list[str]) -> None:
    """`keyevent CODE…`."""
    rest = [item for item in args if not item.startswith("--")]
    if "--delay" in args or "--duration" in args:
        rest = rest[1:]
    if not rest:
        raise BadInput('java.lang.IllegalArgumentException: Argument expected after "keyevent"')
    for item in rest:
        code = key_code(item)
        if code is None:
            raise BadInput(f"java.lang.IllegalArgumentException: Unknown keycode: {item}")
        press(system, code)


def press(system: System, code: int) -> None:
    """Press one key."""
    if system.lock and system.phone.state.screen_on and code in LOCK_KEYS:
        system.key_lock(LOCK_KEYS[code])
    elif system.lock and system.phone.state.screen_on and code not in AWAKE_KEYS:
        if code == CODES["MENU"]:
            system.dismiss_lock()
    elif code in CHARACTERS:
        type_text(system, CHARACTERS[code])
    elif code == CODES["TAB"]:
        type_text(system, "\t")
    elif (system.all_selected and code in (CODES["DEL"], CODES["FORWARD_DEL"], CODES["CUT"])) or code == CODES["CLEAR"]:
        clear_field(system)
    elif code == CODES["SLEEP"]:
        if system.phone.state.screen_on:
            system.phone.press_key("power")
            system.lock_if_off()
    elif code in PHONE_KEYS:
        system.all_selected = False
        system.phone.press_key(PHONE_KEYS[code])
        system.lock_if_off()
    elif code in (CODES["MOVE_HOME"], CODES["MOVE_END"]):
        system.all_selected = False  # the phone writes at the end, always


def key_combination(system: System, args: list[str]) -> None:
    """`keycombination [-t MS] CODE CODE…`: Ctrl+A selects all; others do nothing here."""
    rest = args[2:] if args[:1] == ["-t"] else args
    codes = [key_code(item) for item in rest]
    if len(codes) < 2 or None in codes:
        raise BadInput("java.lang.IllegalArgumentException: keycombination requires at least 2 keycodes")
    control = codes[0] in (CODES["CTRL_LEFT"], CODES["CTRL_RIGHT"])
    system.all_selected = control and codes[1:] == [CODES["A"]]


def _nothing(system: System, args: list[str]) -> None:
    """Trackball events: the phone has none."""


def get_event(call: Call) -> int:
    """`getevent -lp`: the input devices with their ranges; following events would never end."""
    flags = set("".join(item.removeprefix("-") for item in call.args))
    if not {"l", "p"} <= flags:
        return call.fail("getevent: this phone only lists its devices: getevent -lp")
    call.print(call.system.panel.listing().removesuffix("\n"))
    return 0


def send_event(call: Call) -> int:
    """`sendevent DEVICE TYPE CODE VALUE`: one event of the touch panel, in decimal."""
    if len(call.args) != 4 or not all(re.fullmatch(r"-?\d{1,9}", item, re.ASCII) for item in call.args[1:]):
        return call.fail("usage: sendevent DEVICE TYPE CODE VALUE")
    if call.args[0] != PATH or call.system.faults.faults.sealed_panel:
        return call.fail(
            f"sendevent: {call.args[0]}: {SEALED if call.args[0] == PATH else 'No such file or directory'}"
        )
    fingers = call.system.panel.take(*map(int, call.args[1:]))
    if fingers and not call.system.faults.input_is_lost():
        _fingers_lifted(call.system, fingers)
    return 0


def _fingers_lifted(system: System, fingers: list[Finger]) -> None:
    """Two fingers zoom, one taps or swipes."""
    ends = [(_held(system, finger.first or finger.last), _held(system, finger.last)) for finger in fingers]
    if len(ends) == 2 and not system.lock:
        (first, last), (other_first, other_last) = ends
        began, ended = math.dist(first, other_first), math.dist(last, other_last)
        middle = _pixel(system, (first[0] + other_first[0]) / 2, (first[1] + other_first[1]) / 2)
        if began and middle:
            system.phone.pinch(*middle, ended / began)
    elif len(ends) == 1:
        swipe(system, [str(number) for place in ends[0] for number in place])


def _held(system: System, place: tuple[float, float]) -> tuple[float, float]:
    """A pixel of the panel on the screen as it is held. Source: TouchInputMapper's orientations."""
    (width, height), (across, down) = system.phone.size, system.panel.size
    x, y = place[0] * (width - 1) / (across - 1), place[1] * (height - 1) / (down - 1)
    turned = ((x, y), (y, width - 1 - x), (width - 1 - x, height - 1 - y), (height - 1 - y, x))
    return turned[system.rotation % 4]


ACTIONS: dict[str, Callable[[System, list[str]], None]] = {
    "tap": tap,
    "swipe": swipe,
    "draganddrop": swipe,
    "motionevent": motion_event,
    "text": text,
    "keyevent": key_events,
    "keycombination": key_combination,
    "press": _nothing,
    "roll": _nothing,
}
COMMANDS: dict[str, Handler] = {"input": run_input, "getevent": get_event, "sendevent": send_event}
