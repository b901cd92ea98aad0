"""An Android phone as a device, over adb: a real one, or a virtual one behind the same protocol."""

import json
import os
import re
import time
from collections.abc import Callable
from typing import Any, Literal, get_args

import adbutils
from PIL import Image

from qwen2vl_agent.envs import adb_server, android_input, android_touch
from qwen2vl_agent.envs.adb_link import AdbLink, ShellResult
from qwen2vl_agent.envs.android_apps import LIST_COMMAND, InstalledApp, find_app, parse_apps
from qwen2vl_agent.envs.android_capture import Capture
from qwen2vl_agent.envs.android_screen import STATE_COMMAND, WHY_BLACK, ScreenState, parse_state
from qwen2vl_agent.envs.android_text import PhoneText
from qwen2vl_agent.envs.hierarchy import parse_xml, whole_tree
from qwen2vl_agent.envs.phone_video import PhoneVideo
from qwen2vl_agent.envs.reconnecting import Reconnecting
from qwen2vl_agent.envs.settling import BLACK_TEXT
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.schema.actions import (
    Action,
    DoubleTap,
    LongPress,
    OpenApp,
    OpenLink,
    PressKey,
    PullDown,
    Swipe,
    Tap,
    TypeText,
    Wait,
    Zoom,
)
from qwen2vl_agent.schema.errors import ActionRejected, ConfigError, DeviceLost
from qwen2vl_agent.schema.geometry import Frame, Point
from qwen2vl_agent.schema.observation import CaptureName, Element
from qwen2vl_agent.schema.tools import tool_name

VIRTUAL_PRODUCT = "virtual_phone"
"""`ro.product.name` of a virtual phone."""
STATE_PATH = "/data/local/tmp/virtual-phone-state.json"
SIZE = re.compile(r"(Physical|Override) size: (\d+)x(\d+)")
ORIENTATION = re.compile(r"DisplayViewport\{[^}]*?valid=true[^}]*?orientation=(\d)")
FOCUS = re.compile(r"mCurrentFocus=Window\{\S+ \S+ ([^/\s}]+)/([^\s}]+)")
RESUMED = re.compile(r"[rR]esumedActivity[:=] ?ActivityRecord\{\S+ \S+ ([^/\s}]+)/([^\s}]+)")
DISPLAY = re.compile(r"^Display \d+", re.MULTILINE)
MAIN_DISPLAY = re.compile(r"DisplayViewport\{[^}]*?displayId=0, uniqueId='local:(\d+)'")
PATIENCE_S, TIMEOUT_S = 10.0, 30.0
LOOK_FOR_TURNS_S = 1.0
PIN_VARIABLE, CAPTURE_VARIABLE = "QWEN2VL_AGENT_PIN", "QWEN2VL_AGENT_CAPTURE"


class AndroidDevice:
    """A `PhoneDevice` over adb."""

    timed = True

    def __init__(
        self,
        serial: str | None = None,
        *,
        client: adbutils.AdbClient | None = None,
        capture: CaptureName | None = None,
        patience_s: float = PATIENCE_S,
        timeout_s: float = TIMEOUT_S,
        consent: Callable[[str], bool] | None = None,
    ) -> None:
        """Take the phone of this serial, or the only one attached.

        Args:
            capture: how pictures are taken; left out, `$QWEN2VL_AGENT_CAPTURE`, else the exact way for a virtual phone
                and the best by measurement for a real one.
            patience_s: how long a phone that goes away is waited for.
            timeout_s: how long a command may take.
            consent: asked, with what is to be done in words, before a setting of a real phone is changed; left out,
                `$QWEN2VL_AGENT_CONSENT` set to `keyboard` agrees, and nothing else does. No app is ever installed.

        Raises:
            DeviceLost: there is none, none that is ready, or several.
        """
        self._client = client or adb_server.adb_client()
        self.serial = adb_server.choose(self._client, serial)
        self._link = AdbLink(self._client, self.serial, timeout_s=timeout_s)
        self.connection = Reconnecting(self._link, patience_s=patience_s)
        self._apps: list[InstalledApp] | None = None
        self._pulled_down = False
        self.virtual = self._link.shell("getprop ro.product.name").text.strip() == VIRTUAL_PRODUCT
        self.name = "virtual-phone" if self.virtual else "android"
        self._text = PhoneText(
            virtual=self.virtual, send=self._send, read=self._read, elements=self.elements, consent=consent
        )
        self._display = ""
        self._turned_at = 0.0
        self._frame = self._read_frame()
        way = capture or _chosen_capture() or ("raw" if self.virtual else "auto")  # exact on a virtual phone
        self._capture = Capture(self._link, way, display=self._display)

    # What it shows -------------------------------------------------------------------------------------------------

    @property
    def frame(self) -> Frame:
        """The coordinate system of `input`: the logical size, turned as the screen is."""
        return self._frame

    @property
    def still(self) -> bool:
        """Whether one look after an action is enough: on a virtual phone, unless it is seen by video, which is late."""
        return self.virtual and self._capture.live is None

    def _read_frame(self) -> Frame:
        answer = self._shell(
            "wm size; dumpsys display | grep DisplayViewport; dumpsys SurfaceFlinger --display-id"
        ).text
        sizes = {kind: (int(width), int(height)) for kind, width, height in SIZE.findall(answer)}
        if not sizes:
            raise DeviceLost(f"phone {self.serial} does not tell its size (`wm size`): {answer[:200]!r}")
        width, height = sizes.get("Override") or sizes["Physical"]
        match = ORIENTATION.search(answer)
        rotation = int(match[1]) if match else 0
        several, main = len(DISPLAY.findall(answer)) > 1, MAIN_DISPLAY.search(answer)
        self._display = main[1] if several and main else ""
        return Frame("device", *((height, width) if rotation % 2 else (width, height)), rotation)

    def screenshot(self) -> Image.Image:
        """The screen in RGB; the frame follows when the screen was turned.

        Raises:
            DeviceLost: no whole picture came.
        """
        if self._capture.live is not None and time.monotonic() - self._turned_at > LOOK_FOR_TURNS_S:
            self._follow_turns()
        image = self.connection.look(self._capture.take)
        lying = image.width > image.height
        if lying != (self._frame.width > self._frame.height) or (
            self.virtual and image.size != (self._frame.width, self._frame.height)
        ):
            self._frame = self.connection.look(self._read_frame)
        return image

    def _follow_turns(self) -> None:
        """A video does not tell when the screen was turned."""
        self._turned_at, before = time.monotonic(), self._frame
        self._frame = self.connection.look(self._read_frame)
        if self._frame != before:
            self._capture.turned()

    def film(self) -> PhoneVideo | None:
        """A video of what it shows from now on; None where it records none."""
        try:
            return PhoneVideo(self)
        except DeviceLost:
            return None

    @property
    def capture(self) -> Capture:
        """How its pictures are taken."""
        return self._capture

    def screen_state(self) -> ScreenState:
        """Whether the screen is on, off, locked, or protected against being captured."""
        return parse_state(self._read(STATE_COMMAND))

    def why_black(self) -> str:
        """What an agent is told of a black screen."""
        state = self.screen_state()
        if state == "on" or (state == "off" and self.virtual):  # as it is told of a phone in this process
            return BLACK_TEXT
        return WHY_BLACK[state]

    def wake(self, pin: str = "") -> None:
        """Turn the screen on and open its lock, with `pin` where it wants one; tried once only.

        Raises:
            DeviceLost: it stays locked.
        """
        if self.screen_state() == "off":
            self._shell(android_input.key(android_input.KEY_CODES["wakeup"]))
        if self.screen_state() != "locked":
            return
        self._shell("wm dismiss-keyguard")
        if pin and self.screen_state() == "locked":
            self._shell(f"input text {android_input.quote(pin)}; {android_input.key(android_input.ENTER)}")
        if self.screen_state() == "locked":
            tried = (
                "the PIN that was given does not open it" if pin else f"unlock it, or give its PIN in ${PIN_VARIABLE}"
            )
            raise DeviceLost(f"phone {self.serial} is locked: {tried}")

    def elements(self) -> list[Element]:
        """The accessibility tree's elements.

        Raises:
            DeviceLost: the phone gives no tree.
        """
        dump = self.connection.look(lambda: self._link.exec_out("uiautomator dump /dev/tty"))
        return parse_xml(whole_tree(dump.decode("utf-8", "replace")))

    def foreground(self) -> tuple[str, str]:
        """Package and activity in front; the activity in short form where it is in the package."""
        line = "dumpsys window | grep mCurrentFocus; dumpsys activity activities | grep esumedActivity"
        answer = self._read(line)
        match = FOCUS.search(answer) or RESUMED.search(answer)
        if match is None:
            return "", ""
        package, activity = match.groups()
        return package, activity.removeprefix(package) if activity.startswith(package + ".") else activity

    def condition(self) -> str:
        """`locked` by the lock screen, `secure` where the app in front forbids pictures of itself, or empty."""
        state = self.screen_state()
        return state if state in ("locked", "secure") else ""

    # What it does --------------------------------------------------------------------------------------------------

    def perform(self, action: Action) -> dict[str, Any]:
        """Do `action`; what was really sent, in device pixels.

        Raises:
            ActionRejected: the phone cannot do it now.
            ActionVoid: it was sent, but did not arrive as asked, or nobody knows whether it did.
            DeviceLost: the phone does not answer.
        """
        self._capture.acted()
        self._turned_at = 0.0
        done: dict[str, Any] = {"action": tool_name(type(action))}
        match action:
            case Tap(point=point):
                self._send(android_input.tap(*self._place(point, done)), done)
            case DoubleTap(point=point):
                touch = android_input.tap(*self._place(point, done))
                self._send(f"{touch}; {touch}", done)
            case LongPress(point=point, duration_s=duration_s):
                done["duration_ms"], (x, y) = round(duration_s * 1000), self._place(point, done)
                self._send(android_input.swipe(x, y, x, y, duration_s), done)
            case Swipe(start=start, end=end, duration_s=duration_s):
                ends = *self._pixel(start), *self._pixel(end)
                done |= dict(zip(("x1", "y1", "x2", "y2"), ends, strict=True), duration_ms=round(duration_s * 1000))
                self._send(android_input.swipe(*ends, duration_s), done)
            case TypeText(text=text, clear_first=clear_first):
                done |= {"text": text, "clear_first": clear_first}
                self._text.type(text, clear_first, done)
            case PressKey(name=name):
                done["key"] = name
                self._send(android_input.key(android_input.KEY_CODES[name]), done)
            case OpenApp(name=name):
                self._open(name, done)
            case OpenLink(link=link):
                done |= self.open_link(link)
            case PullDown(what=what):
                done |= self.pull_down(None if what == "nothing" else what)
            case Zoom(point=point, factor=factor):
                done["factor"], place = factor, self._place(point, done)
                for line in android_touch.zoom(self._read(android_touch.LIST_COMMAND), self._frame, *place, factor):
                    self._send(line, done)
            case Wait(seconds=seconds):
                done["seconds"] = seconds
                self._wait(seconds)
        return done

    def _pixel(self, point: Point) -> tuple[int, int]:
        place = point.to(self._frame)
        return place.x, place.y

    def _place(self, point: Point, done: dict[str, Any]) -> tuple[int, int]:
        done["x"], done["y"] = pixel = self._pixel(point)
        return pixel

    def _send(self, line: str, done: dict[str, Any]) -> None:
        """Run a line that must succeed, and note it."""
        result = self.connection.act(lambda: self._shell(line))
        if result.status:
            raise ActionRejected(f"the phone refused `{_short(line)}`: {result.complaint}")
        done.setdefault("sent", []).append(line)

    def _open(self, name: str, done: dict[str, Any]) -> None:
        if self._apps is None:
            self._apps = parse_apps(self._read(LIST_COMMAND))
        app = find_app(self._apps, name)
        done["component"] = app.component
        self._send(
            "am start -a android.intent.action.MAIN -c android.intent.category.LAUNCHER -f 0x10200000 -n "
            + android_input.quote(app.component),
            done,
        )

    def _wait(self, seconds: float) -> None:
        if self.virtual:  # its clock is in its state: nobody needs to sit and wait
            self.connection.act(lambda: self._shell(f"cmd virtual-phone wait {seconds:.3f}"))
        else:
            time.sleep(seconds)

    # A virtual phone's state ---------------------------------------------------------------------------------------

    def phone_state(self) -> PhoneState:
        """The state of a virtual phone.

        Raises:
            ConfigError: it is a real phone.
        """
        self._must_be_virtual()
        return PhoneState.from_json(json.loads(self._shell("cmd virtual-phone state").text))

    def load_state(self, state: PhoneState) -> None:
        """Put a virtual phone into `state`.

        Raises:
            ConfigError: it is a real phone.
        """
        self._must_be_virtual()
        self._link.push(json.dumps(state.to_json()).encode(), STATE_PATH)
        result = self._shell(f"cmd virtual-phone load {STATE_PATH}")
        if result.status:
            raise DeviceLost(f"phone {self.serial} did not take the state: {result.complaint}")

    def _must_be_virtual(self) -> None:
        if not self.virtual:
            raise ConfigError(
                f"{self.serial} is a real phone: bundled tasks set up the whole phone, so they run on virtual ones "
                "only; give the task in your own words, or leave --serial out"
            )

    # Beside the action set -------------------------------------------------------------------------------------------

    def shell(self, line: str) -> str:
        """What a line of shell answers, for tools that know what they do.

        Raises:
            ActionVoid: the phone went away while it ran.
            DeviceLost: the phone does not answer.
        """
        return self.connection.act(lambda: self._shell(line)).text

    def open_link(self, link: str) -> dict[str, Any]:
        """Open a deep link or an address in whatever app answers to it.

        Raises:
            ActionRejected: none does.
        """
        done: dict[str, Any] = {"action": "open_link", "link": link}
        line = "am start -a android.intent.action.VIEW -d " + android_input.quote(link)
        result = self.connection.act(lambda: self._shell(line))
        answer = (result.stdout + result.stderr).decode("utf-8", "replace")
        if result.status or "Error:" in answer:
            raise ActionRejected(f"no app of this phone opens {_short(link)!r}: {result.complaint}")
        return done | {"sent": [line]}

    def pull_down(self, what: Literal["notifications", "settings"] | None) -> dict[str, Any]:
        """Show the notifications or the quick settings; None for neither."""
        done: dict[str, Any] = {"action": "pull_down", "what": what}
        self._send(f"cmd statusbar {f'expand-{what}' if what else 'collapse'}", done)
        self._pulled_down = what is not None
        return done

    def _read(self, line: str) -> str:
        return self.connection.look(lambda: self._shell(line)).text

    def _shell(self, line: str) -> ShellResult:
        return self._link.shell(line)

    def close(self) -> None:
        """End the video, close what was pulled down, and give the owner's keyboard back."""
        self._capture.close()
        if self._pulled_down:
            self._shell("cmd statusbar collapse")
            self._pulled_down = False
        if restoring := self._text.restoring():
            self._shell(restoring)


def _chosen_capture() -> CaptureName | None:
    """How `$QWEN2VL_AGENT_CAPTURE` wants pictures to be taken."""
    name = os.environ.get(CAPTURE_VARIABLE, "")
    if name and name not in get_args(CaptureName):
        raise ConfigError(f"{CAPTURE_VARIABLE} is {name!r}; expected one of {', '.join(get_args(CaptureName))}")
    return name or None  # type: ignore[return-value]


def _short(line: str) -> str:
    return line if len(line) <= 80 else line[:77] + "..."
