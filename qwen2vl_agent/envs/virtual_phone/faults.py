"""Faults that a virtual phone can be told to have, so that an agent's handling of them can be tried."""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

from qwen2vl_agent.schema.errors import ConfigError

STATES = ("recovery", "sideload", "bootloader", "rescue")
"""What a phone may call itself that is no running Android. Source: packages/modules/adb/adb.cpp, `parse_banner`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Faults:
    """What goes wrong; nothing by default."""

    slow_screencap_s: float = 0.0
    """Every capture takes this much longer, in seconds."""
    slow_shell_s: float = 0.0
    """Every command takes this much longer, in seconds."""
    hang_after: int = 0
    """After this many commands none is answered any more; 0 for never."""
    offline_after: int = 0
    """The phone drops off its cable after this many commands; 0 for never."""
    offline_for_s: float = 0.0
    """How long it then stays away, in seconds; 0 for good."""
    black: int = 0
    """This many captures are black, from the first on; -1 for all of them."""
    secure: bool = False
    """The window in front does not let itself be captured (FLAG_SECURE)."""
    screen_off: bool = False
    """The screen is off in the beginning."""
    locked: str = ""
    """The screen is locked in the beginning, behind this PIN; `swipe` for a lock that needs none."""
    truncate: int = 0
    """A capture ends after this many bytes; 0 for whole captures."""
    corrupt: float = 0.0
    """Share of the captures in which bytes are damaged."""
    drop_input: float = 0.0
    """Under 1: the share of touches, keys and texts that are lost; from 1 on: every n-th is. 0 for none."""
    rotate_randomly: float = 0.0
    """Share of the touches, keys and texts after which the screen turns."""
    rotation: int = 0
    """Quarter turns of the screen in the beginning."""
    folded: bool = False
    """There are two displays, and the one that captures take unless told is off."""
    no_screenrecord: bool = False
    """The phone records no video."""
    stall_stream_s: float = 0.0
    """A recording sends nothing any more after so many seconds; 0 for never."""
    cut_stream_s: float = 0.0
    """A recording ends after so many seconds; 0 for as long as asked."""
    no_adb_keyboard: bool = False
    """The keyboard that takes text in any script is not installed."""
    old_input: bool = False
    """There are no key combinations, as before Android 13."""
    sealed_panel: bool = False
    """The shell may not write to the touch panel, as on many phones."""
    garble: float = 0.0
    """Share of the texts of which a letter is lost, as slow phones do."""
    unauthorized: bool = False
    """The phone accepts no computer's key."""
    state: str = ""
    """What it calls itself instead of a running Android: recovery, sideload, bootloader or rescue."""

    def __post_init__(self) -> None:
        for name in ("corrupt", "rotate_randomly", "garble"):
            if getattr(self, name) > 1:
                raise ValueError(f"{name.replace('_', '-')} is a share, at most 1")
        if self.black < -1 or any(
            not isinstance(value, str) and value < 0 for name, value in self._values() if name != "black"
        ):
            raise ValueError("a fault's value is not negative")
        if self.rotation > 3:
            raise ValueError("a screen is turned by 0 to 3 quarters")
        if self.state and self.state not in STATES:
            raise ValueError(f"the state is one of {', '.join(STATES)}")

    def _values(self) -> list[tuple[str, float | str]]:
        return [(item.name, getattr(self, item.name)) for item in fields(self)]


def _seconds(text: str) -> float:
    """`2s`, `500ms`, or a number of seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+)(s|ms|)", text, re.ASCII)
    if match is None:
        raise ValueError(text)
    return float(match[1]) / (1000 if match[2] == "ms" else 1)


def _flag(text: str) -> bool:
    return {"1": True, "true": True, "0": False, "false": False, "True": True, "False": False}[text]


@dataclass(frozen=True, slots=True)
class _Switch:
    """How one fault is written on a command line."""

    field: str
    read: Callable[[str], float | str]
    """Raises ValueError or KeyError for what it cannot be."""
    plain: str | None = None
    """The value that its bare name stands for; None where a value must be given."""
    wants: str = "a number"


def _timed(field: str, plain: str | None = None) -> _Switch:
    return _Switch(field, _seconds, plain, "seconds, as in 2s or 500ms")


def _switch(field: str) -> _Switch:
    return _Switch(field, _flag, "1", "1 or 0")


SWITCHES = {
    "slow-screencap": _timed("slow_screencap_s"),
    "slow-shell": _timed("slow_shell_s"),
    "hang-after": _Switch("hang_after", int),
    "offline-after": _Switch("offline_after", int),
    "offline-for": _timed("offline_for_s"),
    "black": _Switch("black", int, "-1"),
    "secure": _switch("secure"),
    "screen-off": _switch("screen_off"),
    "locked": _Switch("locked", str, "swipe", "a PIN"),
    "truncate": _Switch("truncate", int, "1000"),
    "corrupt": _Switch("corrupt", float, "1"),
    "drop-input": _Switch("drop_input", float),
    "rotate-randomly": _Switch("rotate_randomly", float, "0.3"),
    "rotation": _Switch("rotation", int),
    "folded": _switch("folded"),
    "no-screenrecord": _switch("no_screenrecord"),
    "stall-stream": _timed("stall_stream_s"),
    "cut-stream": _timed("cut_stream_s"),
    "no-adb-keyboard": _switch("no_adb_keyboard"),
    "old-input": _switch("old_input"),
    "sealed-panel": _switch("sealed_panel"),
    "garble": _Switch("garble", float, "1"),
    "unauthorized": _switch("unauthorized"),
    "state": _Switch("state", str, None, "one of " + ", ".join(STATES)),
}


def parse_faults(settings: Sequence[str]) -> Faults:
    """The faults that `NAME=VALUE` settings ask for; some names may stand alone.

    Raises:
        ConfigError: unknown name, or a value that it cannot have.
    """
    values: dict[str, float | str] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if name not in SWITCHES:
            raise ConfigError(f"unknown fault {name!r}; expected NAME=VALUE with one of {', '.join(SWITCHES)}")
        switch = SWITCHES[name]
        if not equals and switch.plain is None:
            raise ConfigError(f"fault {name} needs a value: {name}=…, {switch.wants}")
        try:
            values[switch.field] = switch.read(value if equals else switch.plain or "")
        except (KeyError, ValueError):
            raise ConfigError(f"fault {name} has the value {value!r}; expected {switch.wants}") from None
    try:
        return Faults(**values)  # type: ignore[arg-type]
    except ValueError as error:
        raise ConfigError(f"{', '.join(settings)}: {error}") from None


def format_faults(faults: Faults) -> list[str]:
    """The settings that `parse_faults` reads back."""
    return [
        f"{name}={getattr(faults, switch.field)}" for name, switch in SWITCHES.items() if getattr(faults, switch.field)
    ]


class FaultCounter:
    """Counts commands, captures and inputs, and says when a fault strikes; the same way every time."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self._commands = 0
        self._captures = 0
        self._inputs = 0
        self._chance = random.Random(0)

    def command_breaks(self) -> bool:
        """Whether the phone is off its cable from this command on; once it came back, the count begins anew."""
        self._commands += 1
        breaks = 0 < self.faults.offline_after < self._commands
        if breaks and self.faults.offline_for_s:
            self._commands = 0
        return breaks

    def command_hangs(self) -> bool:
        """Whether this command is never answered."""
        return 0 < self.faults.hang_after < self._commands

    def capture_is_black(self) -> bool:
        """Whether this capture shows nothing."""
        self._captures += 1
        return self.faults.secure or self.faults.black < 0 or self._captures <= self.faults.black

    def damage(self, data: bytes) -> bytes:
        """A capture's bytes as they arrive."""
        if self.faults.truncate:
            data = data[: self.faults.truncate]
        if data and self._strikes(self.faults.corrupt):
            at = self._chance.randrange(len(data))
            data = data[:at] + self._chance.randbytes(min(64, len(data) - at)) + data[at + 64 :]
        return data

    def input_is_lost(self) -> bool:
        """Whether this touch, key or text goes nowhere."""
        self._inputs += 1
        if self.faults.drop_input >= 1:
            return self._inputs % round(self.faults.drop_input) == 0
        return self._strikes(self.faults.drop_input)

    def garbled(self, text: str) -> str:
        """A typed text as it arrives."""
        if not text or not self._strikes(self.faults.garble):
            return text
        at = self._chance.randrange(len(text))
        return text[:at] + text[at + 1 :]

    def turn(self, rotation: int) -> int:
        """The quarter turns of the screen after an input."""
        if not self._strikes(self.faults.rotate_randomly):
            return rotation
        return self._chance.choice([turns for turns in range(4) if turns != rotation])

    def _strikes(self, share: float) -> bool:
        return share > 0 and self._chance.random() < share
