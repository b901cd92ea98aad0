"""The Clock app: alarms, a timer and a stopwatch, on three tabs."""

import re

from qwen2vl_agent.envs.virtual_phone import navigation
from qwen2vl_agent.envs.virtual_phone.content import Alarm
from qwen2vl_agent.envs.virtual_phone.controls import Button, Buttons, Fab, Tabs
from qwen2vl_agent.envs.virtual_phone.fields import text_field
from qwen2vl_agent.envs.virtual_phone.rows import Row, Stepper, grouped
from qwen2vl_agent.envs.virtual_phone.scene import Scene
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.widgets import Action, AppBar, Gap, Handler, Line, Widget

TABS = (("alarms", "alarm", "Alarms"), ("timer", "hourglass_empty", "Timer"), ("stopwatch", "timer", "Stopwatch"))
MAX_TIMER_MINUTES = 60


def build(state: PhoneState) -> Scene:
    """The clock page in front."""
    name = state.page.name
    if name == "edit":
        return _form(state)
    if name == "timer":
        return _timer(state)
    if name == "stopwatch":
        return _stopwatch(state)
    return _alarms(state)


def find(state: PhoneState, time: str) -> Alarm | None:
    """The alarm at a time (`HH:MM`)."""
    return next((alarm for alarm in state.alarms if alarm.time == time), None)


def read_time(text: str) -> str | None:
    """`HH:MM` of a time as people type it (`7:30`, `0730`, `19.05`); None where it is none."""
    match = re.fullmatch(r"([01]?\d|2[0-3])[:. ]?([0-5]\d)", text.strip())
    return f"{int(match[1]):02d}:{match[2]}" if match else None


def _alarms(state: PhoneState) -> Scene:
    rows = [
        Row(
            f"clock:alarm.{alarm.time}", alarm.time, detail=alarm.label or "Alarm", on_tap=_open_form(alarm.time),
            switch=(f"clock:switch.{alarm.time}", alarm.enabled, _toggler(alarm.time)), large=True,
        )
        for alarm in sorted(state.alarms, key=lambda alarm: alarm.time)
    ]  # fmt: skip
    return Scene(
        header=[_bar(state, "Alarms")],
        body=grouped(rows, cards=state.look.cards) or [Line("clock:none", "No alarms", height=90)],
        footer=[_tabs("alarms")],
        list_id="clock:alarms.list",
        fab=Fab("clock:add", "add", "Add alarm", _open_form(""), state.look.fab_left),
    )


def _form(state: PhoneState) -> Scene:
    editing = bool(state.page.arg)
    actions = (Action("clock:delete", "delete", "Delete", _delete),) if editing else ()
    title = "Edit alarm" if editing else "New alarm"
    body: list[Widget] = [
        Gap(6),
        text_field(state, "clock", "time", "Time (HH:MM)", numeric=True),
        text_field(state, "clock", "label", "Label"),
        Buttons((Button("clock:save", "Save", _save),)),
    ]
    return Scene(
        header=[AppBar("clock", title, navigation.close_page, actions, state.look.centred_title)],
        body=body,
        list_id="clock:form.list",
    )


def _save(state: PhoneState) -> None:
    page = state.page
    time, label = read_time(page.fields.get("time", "")), page.fields.get("label", "").strip()
    old = find(state, page.arg) if page.arg else None
    if time is None:
        state.toast = "Enter a time like 07:30"
        return
    state.alarms = [alarm for alarm in state.alarms if alarm is not old and alarm.time != time]
    state.alarms.append(Alarm(time, label, enabled=True))
    navigation.close_page(state)
    state.toast = f"Alarm set for {time}"


def _delete(state: PhoneState) -> None:
    time = state.page.arg
    state.alarms = [alarm for alarm in state.alarms if alarm.time != time]
    navigation.close_page(state)
    state.toast = "Alarm deleted"


def _toggler(time: str) -> Handler:
    def on_tap(state: PhoneState) -> None:
        alarm = find(state, time)
        assert alarm is not None
        alarm.enabled = not alarm.enabled

    return on_tap


def _open_form(time: str) -> Handler:
    def on_tap(state: PhoneState) -> None:
        alarm = find(state, time) if time else None
        fields = {"time": alarm.time, "label": alarm.label} if alarm else {}
        navigation.open_page(state, "edit", time, fields=fields)
        if alarm is None:
            navigation.focus_field(state, "time", numeric=True)

    return on_tap


def _timer(state: PhoneState) -> Scene:
    timer = state.timer
    running = timer.ends_at_s is not None
    left = max(0.0, (timer.ends_at_s or 0) - state.now_s) if running else timer.minutes * 60
    less, more = max(timer.minutes - 1, 1), min(timer.minutes + 1, MAX_TIMER_MINUTES)
    stepper = Stepper(
        "clock:timer.minutes", "Minutes", timer.minutes, MAX_TIMER_MINUTES, _set_minutes(less), _set_minutes(more)
    )
    body: list[Widget] = [
        Gap(40),
        Line("clock:timer.left", _minutes_seconds(left), size=64, height=110),
        Gap(20),
        stepper,
        Gap(20),
        Buttons((Button("clock:timer.start", "Stop" if running else "Start", _start_timer),)),
    ]
    return Scene(header=[_bar(state, "Timer")], body=body, footer=[_tabs("timer")], list_id="clock:timer.list")


def _set_minutes(minutes: int) -> Handler:
    def on_tap(state: PhoneState) -> None:
        state.timer.minutes = minutes

    return on_tap


def _start_timer(state: PhoneState) -> None:
    timer = state.timer
    timer.ends_at_s = None if timer.ends_at_s is not None else state.now_s + 60 * timer.minutes


def _stopwatch(state: PhoneState) -> Scene:
    timer = state.timer
    running = timer.started_at_s is not None
    counted = timer.stopwatch_s + (state.now_s - timer.started_at_s if timer.started_at_s is not None else 0)
    buttons = (
        Button("clock:stopwatch.start", "Stop" if running else "Start", _start_stopwatch),
        Button("clock:stopwatch.reset", "Reset", _reset_stopwatch, style="tonal"),
    )
    body: list[Widget] = [
        Gap(70),
        Line("clock:stopwatch.time", _minutes_seconds(counted), size=64, height=110),
        Gap(40),
        Buttons(buttons),
    ]
    bar, tabs = _bar(state, "Stopwatch"), _tabs("stopwatch")
    return Scene(header=[bar], body=body, footer=[tabs], list_id="clock:stopwatch.list")


def _start_stopwatch(state: PhoneState) -> None:
    timer = state.timer
    if timer.started_at_s is None:
        timer.started_at_s = state.now_s
    else:
        timer.stopwatch_s = round(timer.stopwatch_s + state.now_s - timer.started_at_s, 3)
        timer.started_at_s = None


def _reset_stopwatch(state: PhoneState) -> None:
    state.timer.stopwatch_s, state.timer.started_at_s = 0.0, None


def _minutes_seconds(seconds: float) -> str:
    return f"{int(seconds) // 60:02d}:{int(seconds) % 60:02d}"


def _bar(state: PhoneState, title: str) -> AppBar:
    return AppBar("clock", title, centred=state.look.centred_title)


def _tabs(chosen: str) -> Tabs:
    return Tabs(
        tuple((f"clock:tab.{name}", icon, text, name == chosen, _tab_opener(name)) for name, icon, text in TABS)
    )


def _tab_opener(name: str) -> Handler:
    return lambda state: navigation.replace_page(state, name)
