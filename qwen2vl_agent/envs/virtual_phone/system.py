"""What a virtual phone's commands share: the phone itself, its files, its faults, and what only a shell can set."""

from dataclasses import dataclass, field

from qwen2vl_agent.envs.virtual_phone.faults import FaultCounter, Faults
from qwen2vl_agent.envs.virtual_phone.files import FileTree
from qwen2vl_agent.envs.virtual_phone.phone import VirtualPhone
from qwen2vl_agent.envs.virtual_phone.state import PhoneState

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

    @classmethod
    def of(cls, phone: VirtualPhone, faults: Faults | None = None) -> "System":
        """A system around `phone`."""
        return cls(phone, phone.size, faults=FaultCounter(faults or Faults()))

    @property
    def physical_density(self) -> int:
        """Dots per inch at which the physical width is 360 dp."""
        return round(self.physical_size[0] * 160 / 360)

    def load(self, state: PhoneState) -> None:
        """Put the phone into `state`, or look anew at the one it has."""
        self.phone.state = state
        self.all_selected = False

    def resize(self, size: tuple[int, int]) -> None:
        """Show everything at another size."""
        self.phone = VirtualPhone(self.phone.state, size)
