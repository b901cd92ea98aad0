"""All that a phone is at a moment: plain data that goes to JSON and back without loss, in mid-use too."""

import dataclasses
import functools
import types
import typing
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from qwen2vl_agent.envs.virtual_phone.content import (
    Alarm,
    Calculator,
    Contact,
    Conversation,
    Event,
    Mail,
    Note,
    Timer,
    Track,
    Weather,
)
from qwen2vl_agent.envs.virtual_phone.full.content import Extra
from qwen2vl_agent.envs.virtual_phone.words import Words

T = TypeVar("T")
SettingValue = bool | int | str


@dataclass(slots=True)
class Page:
    """A page of an app, with what its user left on it."""

    name: str
    arg: str = ""
    """What the page is about: a contact's name, a group of settings."""
    scroll: dict[str, float] = field(default_factory=dict)
    """How far each list is scrolled, in dp. A list that is not here stands where it began."""
    fields: dict[str, str] = field(default_factory=dict)
    """Drafts of the page's text fields."""
    focus: str = ""
    """The field that takes what is typed."""
    dialog: str = ""
    """The dialog or menu that is open."""


@dataclass(slots=True)
class Task:
    """An app in use: its pages, the visible one last."""

    app: str
    pages: list[Page]


@dataclass(slots=True)
class Keyboard:
    """The on-screen keyboard."""

    visible: bool = False
    layer: str = "lower"
    """`lower`, `upper` or `symbols`."""


@dataclass(slots=True)
class Look:
    """How this phone looks; nothing here changes in use."""

    hue: float = 250.0
    """Accent colour, in degrees of the Oklch circle."""
    wallpaper: int = 0
    """Seed of the wallpaper."""
    icon_shape: str = "circle"
    """`circle`, `squircle` or `square`."""
    themed_icons: bool = False
    """Whether app icons take the accent colour instead of their own."""
    cards: bool = True
    """Whether lists are drawn as rounded cards, else flat."""
    centred_title: bool = False
    fab_left: bool = False
    row_icons: bool = True
    """Whether settings show an icon before the title."""
    filled_row_icons: bool = False
    """Whether those icons stand on a coloured disc."""


@dataclass(slots=True)
class Home:
    """Where the launcher keeps its icons (app ids)."""

    grid: list[str] = field(default_factory=list)
    dock: list[str] = field(default_factory=list)
    drawer: list[str] = field(default_factory=list)
    clock: bool = True


@dataclass(slots=True)
class PhoneState:
    """The whole phone."""

    seed: int = 0
    now_s: float = 1_750_000_000.0
    """The phone's own time: seconds since 1970 on its wall clock. Every event moves it on."""
    battery: int = 80
    """Charge in percent."""
    screen_on: bool = True
    look: Look = field(default_factory=Look)
    home: Home = field(default_factory=Home)
    settings: dict[str, SettingValue] = field(default_factory=dict)
    settings_order: dict[str, list[str]] = field(default_factory=dict)
    """Order of the rows of each page of settings, by group id."""
    contacts: list[Contact] = field(default_factory=list)
    conversations: list[Conversation] = field(default_factory=list)
    """The latest first."""
    alarms: list[Alarm] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    timer: Timer = field(default_factory=Timer)
    calculator: Calculator = field(default_factory=Calculator)
    mails: list[Mail] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    tracks: list[Track] = field(default_factory=list)
    weather: list[Weather] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    network_name: str = "Home"

    edition: str = "first"
    """`first`, or `full`: the phone with more apps, notifications and prompts; `full-zh`: that in Chinese."""
    extra: Extra = field(default_factory=Extra)
    """What only the full edition has."""

    foreground: str = "launcher"
    """`launcher`, `recents`, or the id of an app."""
    launcher: Page = field(default_factory=lambda: Page("home"))
    """The launcher's page: `home` or `drawer`."""
    recents: Page = field(default_factory=lambda: Page("recents"))
    tasks: list[Task] = field(default_factory=list)
    """Apps in use, the latest last."""
    shade_open: bool = False
    """Whether the quick settings are pulled down."""
    keyboard: Keyboard = field(default_factory=Keyboard)
    toast: str = ""
    """A short notice at the bottom, gone at the next event."""

    @property
    def page(self) -> Page:
        """The page in front."""
        if self.foreground == "launcher":
            return self.launcher
        if self.foreground == "recents":
            return self.recents
        return self.task(self.foreground).pages[-1]

    def task(self, app: str) -> Task:
        """The task of an app in use."""
        return next(task for task in self.tasks if task.app == app)

    def to_json(self) -> dict[str, Any]:
        """JSON values from which `from_json` makes an equal state."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "PhoneState":
        """The state that `to_json` was called on.

        Raises:
            ValueError: a key that no version of the phone knows, or a value of the wrong shape.
        """
        return _build(cls, data)

    def copy(self) -> "PhoneState":
        """An equal state that shares nothing with this one."""
        return PhoneState.from_json(self.to_json())


def random_state(seed: int, words: Words, edition: str = "first") -> PhoneState:
    """A phone on its home screen; look, order, settings and content vary with the seed and with nothing else."""
    from qwen2vl_agent.envs.virtual_phone.app_list import is_full
    from qwen2vl_agent.envs.virtual_phone.full.random_content import furnish
    from qwen2vl_agent.envs.virtual_phone.random_phone import draw_state

    state = draw_state(seed, words)
    return furnish(state, words, edition) if is_full(edition) else state


@functools.cache
def _hints(cls: Hashable) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _build(cls: type[T], data: Any) -> T:
    if not isinstance(data, dict):
        raise ValueError(f"{cls.__name__} is {type(data).__name__}; expected an object")
    hints = _hints(typing.cast(Hashable, cls))
    unknown = sorted(set(data) - set(hints))
    if unknown:
        raise ValueError(f"{cls.__name__} has no field {unknown[0]!r}")
    return cls(**{name: _value(hints[name], value, f"{cls.__name__}.{name}") for name, value in data.items()})


def _value(hint: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return _build(typing.cast(type, hint), value)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is list and isinstance(value, list):
        return [_value(args[0], item, where) for item in value]
    if origin is dict and isinstance(value, dict):
        return {key: _value(args[1], item, where) for key, item in value.items()}
    if origin is types.UnionType and isinstance(value, args):
        return value
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if origin is None and isinstance(value, hint):
        return value
    raise ValueError(f"{where} is {value!r}; expected {hint}")
