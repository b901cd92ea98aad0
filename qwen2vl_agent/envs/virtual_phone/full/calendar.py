"""The Calendar app: events, a form for a new one, and the deletion of one."""

import re

from qwen2vl_agent.envs.virtual_phone import navigation
from qwen2vl_agent.envs.virtual_phone.content import Event
from qwen2vl_agent.envs.virtual_phone.controls import Button, Buttons, Fab
from qwen2vl_agent.envs.virtual_phone.fields import text_field
from qwen2vl_agent.envs.virtual_phone.full.parts import (
    choices,
    dialog_opener,
    first_page,
    inner_page,
    listed,
    opener,
    page_scene,
)
from qwen2vl_agent.envs.virtual_phone.full.prompts import delete_question
from qwen2vl_agent.envs.virtual_phone.random_phone import DAYS
from qwen2vl_agent.envs.virtual_phone.rows import Row
from qwen2vl_agent.envs.virtual_phone.scene import Scene
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.widgets import Line, Widget

APP = "calendar"
TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


def build(state: PhoneState) -> Scene:
    """The page of the app in front."""
    if state.page.name == "new":
        return _form(state)
    if state.page.name == "item":
        return _event(state)
    rows = [
        Row(
            f"{APP}:row.{event.title}", event.title, f"{event.day} {event.time}", opener("item", event.title),
            icon="event", icon_hue=240.0,
        )
        for event in state.events
    ]  # fmt: skip
    scene = page_scene(APP, first_page(state, APP, "Calendar"), listed(state, APP, rows, "No events"))
    scene.fab = Fab(f"{APP}:add", "add", "Add event", opener("new", focus="title"), state.look.fab_left)
    return scene


def _event(state: PhoneState) -> Scene:
    event = next((event for event in state.events if event.title == state.page.arg), None)
    bar = inner_page(state, APP, "Event")
    if event is None:
        return page_scene(APP, bar, [Line(f"{APP}:gone", "Event is gone")])
    body: list[Widget] = [
        Line(f"{APP}:item", event.title, size=28, weight="medium", height=64),
        Line(f"{APP}:when", f"{event.day} {event.time}", size=22),
        Buttons((Button(f"{APP}:delete", "Delete", dialog_opener("delete"), "danger"),)),
    ]
    asked = delete_question(state, APP, "event", event.title, _delete)
    return page_scene(APP, bar, body, overlay=asked)


def _form(state: PhoneState) -> Scene:
    body: list[Widget] = [
        text_field(state, APP, "title", "Title"),
        text_field(state, APP, "time", "Time", numeric=True),
        *listed(state, APP, choices(state, APP, "day", DAYS), ""),
        Buttons((Button(f"{APP}:save", "Save", _save),)),
    ]
    return page_scene(APP, inner_page(state, APP, "New event"), body)


def _save(state: PhoneState) -> None:
    title, time, day = (state.page.fields.get(name, "").strip() for name in ("title", "time", "day"))
    if not title or not day or not TIME.fullmatch(time):
        state.toast = "Fill in all fields"
        return
    if any(event.title == title for event in state.events):
        state.toast = "Is there already"
        return
    state.events.insert(0, Event(title, day, time))
    navigation.close_page(state)
    state.toast = "Event saved"


def _delete(state: PhoneState) -> None:
    state.events = [event for event in state.events if event.title != state.page.arg]
    navigation.close_page(state)
    state.toast = "Event deleted"
