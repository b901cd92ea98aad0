"""The Calendar app: events, a form for a new one, and the deletion of one."""

import re

from qwen2vl_agent.envs.virtual_phone.content import Event
from qwen2vl_agent.envs.virtual_phone.full.entries import EntryApp
from qwen2vl_agent.envs.virtual_phone.full.parts import opener
from qwen2vl_agent.envs.virtual_phone.random_phone import DAYS
from qwen2vl_agent.envs.virtual_phone.rows import Row
from qwen2vl_agent.envs.virtual_phone.widgets import Line

APP = "calendar"
TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


def _row(event: Event) -> Row:
    told, tap = f"{event.day} {event.time}", opener("item", event.title)
    return Row(f"{APP}:row.{event.title}", event.title, told, tap, icon="event", icon_hue=240.0)


def _lines(event: Event) -> list[Line]:
    return [Line(f"{APP}:when", f"{event.day} {event.time}", size=22)]


def _made(filled: dict[str, str]) -> Event | None:
    return Event(filled["title"], filled["day"], filled["time"]) if TIME.fullmatch(filled["time"]) else None


build = EntryApp(
    app=APP,
    noun="event",
    none="No events",
    entries=lambda state: state.events,
    row=_row,
    lines=_lines,
    fields=(("title", "Title", False), ("time", "Time", True)),
    options=("day", DAYS),
    made=_made,
).build
