"""What a virtual phone's commands share: the phone itself, its files, its faults, and what only a shell can set."""

import dataclasses
from dataclasses import dataclass, field

from PIL import Image

from qwen2vl_agent.envs.virtual_phone.faults import FaultCounter, Faults
from qwen2vl_agent.envs.virtual_phone.files import FileTree
from qwen2vl_agent.envs.virtual_phone.locales import translator
from qwen2vl_agent.envs.virtual_phone.lock_screen import SWIPE_DP, Lock
from qwen2vl_agent.envs.virtual_phone.phone import VirtualPhone
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.system_ui import clock_text
from qwen2vl_agent.envs.virtual_phone.touch_panel import TouchPanel
from qwen2vl_agent.envs.virtual_phone.turning import Turning
from qwen2vl_agent.envs.virtual_phone.widgets import scale_of, screen_of
from qwen2vl_agent.schema.observation import Element

LATIN_IME = "com.android.inputmethod.latin/.LatinIME"
ADB_KEYBOARD = "com.android.adbkeyboard/.AdbIME"
"""The keyboard that takes text in any script by broadcast. Source: github.com/senzhk/ADBKeyBoard."""


@dataclass(slots=True)
class System:
    """A virtual phone and all around it that is not on its screen."""

    phone: VirtualPhone
    physical_size: tuple[int, int]
    """The size it was made with; `wm size` may override it."""
    files: FileTree = field(default_factory=FileTree)
    faults: FaultCounter = field(default_factory=lambda: FaultCounter(Faults()))
    density_override: int | None = None
    ime: str = LATIN_IME
    enabled_imes: list[str] = field(default_factory=lambda: [LATIN_IME, ADB_KEYBOARD])
    settings: dict[tuple[str, str], str] = field(default_factory=dict)
    """What `settings put` wrote under names that the phone itself does not know."""
    all_selected: bool = False
    """Whether Ctrl+A was pressed and nothing since: the next key or text replaces the whole field."""

    finger_down: tuple[float, float] | None = None
    """Where `input motionevent DOWN` put the finger, until it lifts."""
    panel: TouchPanel = field(init=False)
    """What `sendevent` writes to."""
    rotation: int = 0
    """Quarter turns of the screen."""
    touches: list[tuple[float, float]] = field(default_factory=list)
    """Where fingers went down lately, in pixels of the screen as it was held."""
    pin: str | None = None
    """What locks the phone whenever its screen goes off; None for no lock, empty for one that a swipe opens."""
    lock: Lock | None = None
    """The lock screen, while it is shown."""
    _shown: tuple[Image.Image, int, Image.Image] | None = None
    """The last picture of the phone that was turned, by how much, and the screen then."""

    def __post_init__(self) -> None:
        self.panel = TouchPanel(self.physical_size)

    @classmethod
    def of(cls, phone: VirtualPhone, faults: Faults | None = None) -> "System":
        """A system around `phone`."""
        system = cls(phone, phone.size)
        system.set_faults(faults or Faults())
        return system

    def set_faults(self, faults: Faults) -> None:
        """Have these faults from now on, and be as they say a phone is in the beginning."""
        self.faults = FaultCounter(faults)
        self.rotation = faults.rotation
        self.pin = {"": None, "swipe": ""}.get(faults.locked, faults.locked)
        self.lock = Lock(self.pin) if self.pin is not None else None
        if faults.screen_off and self.phone.state.screen_on:
            self.phone.press_key("power")
        if faults.no_adb_keyboard:
            self.enabled_imes = [name for name in self.enabled_imes if name != ADB_KEYBOARD]
        elif ADB_KEYBOARD not in self.enabled_imes:
            self.enabled_imes.append(ADB_KEYBOARD)

    # The screen as it is held ----------------------------------------------------------------------------------------

    @property
    def turning(self) -> Turning:
        """How the phone's picture lies on the screen."""
        return Turning(self.phone.size, self.rotation)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the screen as it is held."""
        return self.turning.size

    def image(self) -> Image.Image:
        """What the screen shows; the same image is given until something changes."""
        if self.lock is not None and self.phone.state.screen_on:
            return self.turning.picture(
                self.lock.paint(self.phone.size, clock_text(self.phone.state), translator(self.phone.state))
            )
        image = self.phone.image()
        if self.turning.upright:
            return image
        if self._shown is None or self._shown[0] is not image or self._shown[1] != self.rotation:
            self._shown = (image, self.rotation, self.turning.picture(image))
        return self._shown[2]

    def elements(self) -> list[Element]:
        """What can be seen, in pixels of the screen as it is held."""
        turning = self.turning
        return [
            dataclasses.replace(
                element, bounds=(*turning.outward(*element.bounds[:2]), *turning.outward(*element.bounds[2:]))
            )
            for element in (self._lock_elements() if self.lock else self.phone.elements())
        ]

    def _lock_elements(self) -> list[Element]:
        assert self.lock is not None
        scale = scale_of(self.phone.size)
        if not self.phone.state.screen_on:
            return []
        return [
            Element(
                key,
                "button",
                (round((x - 50) * scale), round((y - 38) * scale), round((x + 50) * scale), round((y + 38) * scale)),
                f"lock:{key}",
            )
            for key, (x, y) in self.lock.key_middles(screen_of(self.phone.size)).items()
        ]

    # Touch on the lock screen ----------------------------------------------------------------------------------------

    def touch_lock(self, x1: float, y1: float, x2: float, y2: float) -> None:
        """A finger on the lock screen, in the phone's own pixels."""
        scale = scale_of(self.phone.size)
        if self.lock is None or not self.phone.state.screen_on:
            return
        if (y1 - y2) / scale > SWIPE_DP:
            self._open_if(self.lock.swipe_up())
        elif key := self.lock.key_at(screen_of(self.phone.size), x2 / scale, y2 / scale):
            self._open_if(self.lock.press(key))

    def key_lock(self, key: str) -> None:
        """A key of the pad, pressed as a key of the phone."""
        if self.lock is not None and self.phone.state.screen_on:
            self._open_if(self.lock.press(key))

    def dismiss_lock(self) -> None:
        """What the menu key and `wm dismiss-keyguard` do: open it, or show the pad."""
        if self.lock is not None and self.phone.state.screen_on:
            self._open_if(self.lock.swipe_up())

    def _open_if(self, opened: bool) -> None:
        if opened:
            self.lock = None

    def lock_if_off(self) -> None:
        """The screen went off perhaps: it is locked then, where the phone has a lock."""
        if not self.phone.state.screen_on and self.pin is not None:
            self.lock = Lock(self.pin)

    @property
    def physical_density(self) -> int:
        """Dots per inch at which a dp of the layout is one of Android's, of which an inch has 160."""
        return round(160 * scale_of(self.physical_size))

    def load(self, state: PhoneState) -> None:
        """Put the phone into `state`, or look anew at the one it has."""
        self.phone.state = state
        self.all_selected = False

    def resize(self, size: tuple[int, int]) -> None:
        """Show everything at another size."""
        self.phone = VirtualPhone(self.phone.state, size)
