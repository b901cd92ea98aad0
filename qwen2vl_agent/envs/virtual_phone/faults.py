"""Faults that a virtual phone can be told to have, so that an agent's handling of them can be tried."""

from collections.abc import Sequence
from dataclasses import dataclass

from qwen2vl_agent.schema.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class Faults:
    """What goes wrong; nothing by default."""

    slow_screencap_s: float = 0.0
    """Every capture takes this much longer, in seconds."""
    offline_after: int = 0
    """The phone drops off its cable after this many commands; 0 for never."""
    black: int = 0
    """This many captures are black, from the first on; -1 for all of them."""
    truncate: int = 0
    """A capture ends after this many bytes; 0 for whole captures."""
    drop_input: int = 0
    """Every n-th touch, key or text is lost; 0 for none."""

    def __post_init__(self) -> None:
        if self.slow_screencap_s < 0 or self.offline_after < 0 or self.truncate < 0 or self.drop_input < 0:
            raise ValueError("a fault's value is not negative")


NAMES = {
    "slow-screencap": ("slow_screencap_s", float),
    "offline-after": ("offline_after", int),
    "black": ("black", int),
    "truncate": ("truncate", int),
    "drop-input": ("drop_input", int),
}


def parse_faults(settings: Sequence[str]) -> Faults:
    """The faults that `NAME=VALUE` settings ask for.

    Raises:
        ConfigError: unknown name, or a value that is not a number.
    """
    values: dict[str, float | int] = {}
    for setting in settings:
        name, _, value = setting.partition("=")
        if name not in NAMES:
            raise ConfigError(f"unknown fault {name!r}; expected NAME=VALUE with one of {', '.join(NAMES)}")
        field, kind = NAMES[name]
        try:
            values[field] = kind(value)
        except ValueError:
            raise ConfigError(f"fault {name} has the value {value!r}; expected a number") from None
    try:
        return Faults(**values)  # type: ignore[arg-type]
    except ValueError as error:
        raise ConfigError(f"{', '.join(settings)}: {error}") from None


def format_faults(faults: Faults) -> list[str]:
    """The settings that `parse_faults` reads back."""
    return [f"{name}={getattr(faults, field)}" for name, (field, _) in NAMES.items() if getattr(faults, field)]


class FaultCounter:
    """Counts commands, captures and inputs, and says when a fault strikes."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self._commands = 0
        self._captures = 0
        self._inputs = 0

    def command_breaks(self) -> bool:
        """Whether the phone is off by this command."""
        self._commands += 1
        return 0 < self.faults.offline_after < self._commands

    def capture_is_black(self) -> bool:
        """Whether this capture shows nothing."""
        self._captures += 1
        return self.faults.black < 0 or self._captures <= self.faults.black

    def input_is_lost(self) -> bool:
        """Whether this touch, key or text goes nowhere."""
        self._inputs += 1
        return self.faults.drop_input > 0 and self._inputs % self.faults.drop_input == 0
