"""What a phone's owner keeps on it."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Contact:
    """A person in the address book; names are unique."""

    name: str
    phone: str
    favorite: bool = False


@dataclass(slots=True)
class Message:
    """One message of a conversation."""

    text: str
    mine: bool
    """Whether the phone's owner wrote it."""
    time: str = ""
    """As shown, for example `09:41`."""


@dataclass(slots=True)
class Conversation:
    """All messages with one person, oldest first."""

    name: str
    messages: list[Message] = field(default_factory=list)


@dataclass(slots=True)
class Alarm:
    """An alarm; its time is unique."""

    time: str
    """24-hour `HH:MM`."""
    label: str = ""
    enabled: bool = True


@dataclass(slots=True)
class Note:
    """A note; titles are unique."""

    title: str
    body: str = ""
    pinned: bool = False


@dataclass(slots=True)
class Event:
    """A day's entry in the calendar."""

    title: str
    day: str
    time: str


@dataclass(slots=True)
class Track:
    """A song of the music player."""

    title: str
    artist: str


@dataclass(slots=True)
class Weather:
    """A city's weather."""

    city: str
    degrees: int
    sky: str
    """`sunny`, `cloudy`, `rain` or `snow`."""


@dataclass(slots=True)
class Timer:
    """The clock app's timer and stopwatch."""

    minutes: int = 5
    ends_at_s: float | None = None
    """Phone time at which the running timer ends."""
    stopwatch_s: float = 0.0
    """Time counted until the stopwatch was stopped last."""
    started_at_s: float | None = None
    """Phone time at which the running stopwatch was started."""


@dataclass(slots=True)
class Mail:
    """A letter in the mail app."""

    sender: str
    subject: str


@dataclass(slots=True)
class Calculator:
    """What stands on the calculator's display."""

    expression: str = ""
    """As typed, with the signs `+ − × ÷`."""
    result: str = ""
    """What `=` gave; empty while the expression is being typed."""
