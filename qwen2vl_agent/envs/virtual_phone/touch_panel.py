"""The phone's touch panel: several fingers, told by Linux's multi-touch events (protocol B)."""

from dataclasses import dataclass, field

from qwen2vl_agent.envs.android_touch import ABS, LIFTED, SLOT, TRACKING, X, Y

PATH = "/dev/input/event1"
SLOTS = 10
LISTING = """add device 1: /dev/input/event0
  name:     "gpio-keys"
  events:
    KEY (0001): KEY_VOLUMEDOWN        KEY_VOLUMEUP          KEY_POWER
  input props:
    <none>
add device 2: {path}
  name:     "touchscreen"
  events:
    KEY (0001): BTN_TOUCH
    ABS (0003): ABS_MT_SLOT           : value 0, min 0, max {slots}, fuzz 0, flat 0, resolution 0
                ABS_MT_TOUCH_MAJOR    : value 0, min 0, max 255, fuzz 0, flat 0, resolution 0
                ABS_MT_POSITION_X     : value 0, min 0, max {right}, fuzz 0, flat 0, resolution 0
                ABS_MT_POSITION_Y     : value 0, min 0, max {bottom}, fuzz 0, flat 0, resolution 0
                ABS_MT_TRACKING_ID    : value 0, min 0, max 65535, fuzz 0, flat 0, resolution 0
                ABS_MT_PRESSURE       : value 0, min 0, max 255, fuzz 0, flat 0, resolution 0
  input props:
    INPUT_PROP_DIRECT
"""
Place = tuple[float, float]


@dataclass(slots=True)
class Finger:
    """Where a finger went down and where it is."""

    first: Place | None = None
    last: Place = (0.0, 0.0)


@dataclass(slots=True)
class TouchPanel:
    """Fingers on a panel of `size` pixels, that of the phone held upright."""

    size: tuple[int, int]
    _slot: int = 0
    _down: dict[int, Finger] = field(default_factory=dict)
    _lifted: list[Finger] = field(default_factory=list)

    def listing(self) -> str:
        """What `getevent -lp` tells."""
        width, height = self.size
        return LISTING.format(path=PATH, slots=SLOTS - 1, right=width - 1, bottom=height - 1)

    def take(self, kind: int, code: int, value: int) -> list[Finger]:
        """One event; all fingers that were down together, once the last of them is lifted and reported."""
        if kind == ABS and code == SLOT:
            self._slot = value
        elif kind == ABS and code == TRACKING:
            self._track(value)
        elif kind == ABS and code in (X, Y) and self._slot in self._down:
            finger = self._down[self._slot]
            x, y = finger.last
            finger.last = (value, y) if code == X else (x, value)
        elif kind == 0 and code == 0:
            return self._report()
        return []

    def _track(self, number: int) -> None:
        if number == LIFTED:
            if finger := self._down.pop(self._slot, None):
                self._lifted.append(finger)
        elif self._slot < SLOTS:
            self._down[self._slot] = Finger()

    def _report(self) -> list[Finger]:
        for finger in self._down.values():
            finger.first = finger.first or finger.last
        if self._down or not self._lifted:
            return []
        done, self._lifted = [finger for finger in self._lifted if finger.first], []
        return done
