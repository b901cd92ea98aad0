"""A virtual phone in this process as a device: no adb between, for training and quick tests."""

from typing import Any

from PIL import Image

from qwen2vl_agent.envs.virtual_phone.phone import VirtualPhone
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.schema.actions import (
    Action,
    DoubleTap,
    LongPress,
    OpenApp,
    PressKey,
    Swipe,
    Tap,
    TypeText,
    Wait,
    Zoom,
)
from qwen2vl_agent.schema.errors import ActionRejected
from qwen2vl_agent.schema.geometry import Frame, Point
from qwen2vl_agent.schema.observation import Element
from qwen2vl_agent.schema.tools import tool_name

NO_FIELD = "no text field has the focus; tap the field first"


class VirtualPhoneDevice:
    """A `PhoneDevice` around a `VirtualPhone`."""

    name = "virtual-phone"
    still = True
    timed = False
    virtual = True

    def __init__(self, phone: VirtualPhone) -> None:
        self.phone = phone

    @property
    def frame(self) -> Frame:
        """The phone's pixels."""
        return Frame("device", *self.phone.size)

    def screenshot(self) -> Image.Image:
        """The screen, in RGB."""
        return self.phone.image()

    def perform(self, action: Action) -> dict[str, Any]:
        """Do `action`; what was done, in device pixels.

        Raises:
            ActionRejected: nothing takes it.
        """
        done: dict[str, Any] = {"action": tool_name(type(action))}
        match action:
            case Tap(point=point):
                self.phone.tap(*self._place(point, done))
            case DoubleTap(point=point):
                self.phone.double_tap(*self._place(point, done))
            case LongPress(point=point, duration_s=duration_s):
                self.phone.long_press(*self._place(point, done), duration_s)
                done["duration_ms"] = round(duration_s * 1000)
            case Swipe(start=start, end=end, duration_s=duration_s):
                ends = *self._pixel(start), *self._pixel(end)
                self.phone.swipe(*ends, duration_s)
                done |= dict(zip(("x1", "y1", "x2", "y2"), ends, strict=True), duration_ms=round(duration_s * 1000))
            case TypeText(text=text, clear_first=clear_first):
                self._type(text, clear_first)
                done |= {"text": text, "clear_first": clear_first}
            case PressKey(name=name):
                self.phone.press_key(name)
                done["key"] = name
            case OpenApp(name=name):
                done["component"] = self._open(name)
            case Zoom(point=point, factor=factor):
                self.phone.pinch(*self._place(point, done), factor)
                done["factor"] = factor
            case Wait(seconds=seconds):
                self.phone.advance(seconds)
                done["seconds"] = seconds
        return done

    def _pixel(self, point: Point) -> tuple[int, int]:
        place = point.to(self.frame)
        return place.x, place.y

    def _place(self, point: Point, done: dict[str, Any]) -> tuple[int, int]:
        done["x"], done["y"] = pixel = self._pixel(point)
        return pixel

    def _type(self, text: str, clear_first: bool) -> None:
        """Line by line, with the enter key between, as it goes over adb."""
        cleared = self.phone.clear_text() if clear_first else self.phone.state.page.focus
        if not cleared:
            raise ActionRejected(NO_FIELD)
        for index, line in enumerate(text.split("\n")):
            if index:
                self.phone.press_key("enter")
            if line and not self.phone.type_text(line) and not index:
                raise ActionRejected(NO_FIELD)

    def _open(self, name: str) -> str:
        apps = self.phone.apps()
        app = next((app for app in apps if app.label.casefold() == name.strip().casefold()), None)
        if app is None:
            raise ActionRejected(f"no app is called {name!r}; there are {', '.join(app.label for app in apps)}")
        self.phone.launch(app.package)
        return f"{app.package}/{app.package if app.activity.startswith('.') else ''}{app.activity}"

    def elements(self) -> list[Element]:
        """The visible elements."""
        return self.phone.elements()

    def foreground(self) -> tuple[str, str]:
        """Package and activity in front."""
        return self.phone.foreground

    def phone_state(self) -> PhoneState:
        """The phone's state itself, not a copy."""
        return self.phone.state

    def load_state(self, state: PhoneState) -> None:
        """Put the phone into `state`."""
        self.phone.state = state

    def close(self) -> None:
        """Nothing to let go of."""
