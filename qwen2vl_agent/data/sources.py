"""Where examples come from, under which licence, and of which dates they are."""

import datetime
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from qwen2vl_agent.schema.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class SourceInfo:
    """What every source declares of itself."""

    name: str
    """Under which its loss is reported."""
    origin: str
    """Who made it and where it lies: an address, a hub id, "synthetic"."""
    licence: str
    """Under which it may be used, for example CC-BY-4.0."""
    first_date: str
    """Date of the oldest content, YYYY, YYYY-MM or YYYY-MM-DD."""
    last_date: str
    """Date of the youngest content."""

    def __post_init__(self) -> None:
        for field in ("name", "origin", "licence"):
            if not getattr(self, field).strip():
                raise ConfigError(f"the source {self.name!r} declares no {field}")
        if first_day(self.first_date) > last_day(self.last_date):
            raise ConfigError(f"the source {self.name!r} begins on {self.first_date}, after its end {self.last_date}")

    def to_dict(self) -> dict[str, str]:
        """Its fields, as files keep them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "SourceInfo":
        """From a file's values.

        Raises:
            ConfigError: a field is missing, unknown or no text.
        """
        try:
            return cls(**{name: str(value) for name, value in values.items()})
        except TypeError as error:
            raise ConfigError(f"a source's description cannot be used: {error}") from error


def check_cutoff(sources: list[SourceInfo], cutoff: str | None) -> None:
    """Refuses sources with anything younger than `cutoff`, a date: its last day still counts.

    A source of which only the month or the year is known counts with the last day of it.

    Raises:
        ConfigError: naming every source that is too young.
    """
    if cutoff is None:
        return
    latest = last_day(cutoff)
    late = [f"{source.name} (to {source.last_date})" for source in sources if last_day(source.last_date) > latest]
    if late:
        raise ConfigError(f"the cutoff is {cutoff}, but younger content is in {', '.join(late)}")


def first_day(date: str) -> datetime.date:
    """The first day of a year, month or day."""
    year, month, day = _numbers(date)
    return _date(date, year, month or 1, day or 1)


def last_day(date: str) -> datetime.date:
    """The last day of a year, month or day."""
    year, month, day = _numbers(date)
    if day:
        return _date(date, year, month, day)
    month = month or 12
    following = _date(date, year + month // 12, month % 12 + 1, 1)
    return following - datetime.timedelta(days=1)


def _numbers(date: str) -> tuple[int, int, int]:
    parts = date.split("-")
    if not 1 <= len(parts) <= 3 or not all(part.isascii() and part.isdigit() for part in parts) or len(parts[0]) != 4:
        raise ConfigError(f"{date!r} is no date; expected YYYY, YYYY-MM or YYYY-MM-DD")
    year, month, day = (*map(int, parts), 0, 0)[:3]
    if (len(parts) > 1 and not 1 <= month <= 12) or (len(parts) > 2 and day < 1):
        raise ConfigError(f"{date!r} is no date; expected YYYY, YYYY-MM or YYYY-MM-DD")
    return year, month, day


def _date(text: str, year: int, month: int, day: int) -> datetime.date:
    try:
        return datetime.date(year, month, day)
    except ValueError as error:
        raise ConfigError(f"{text!r} is no date: {error}") from error
