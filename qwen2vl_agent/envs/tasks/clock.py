"""Tasks in the clock: alarms and the timer."""

from random import Random

from qwen2vl_agent.envs.tasks.clock_oracle import alarms_as_wanted, set_alarms, set_timer, timer_runs
from qwen2vl_agent.envs.tasks.task import Params, Template
from qwen2vl_agent.envs.virtual_phone.apps.clock import MAX_TIMER_MINUTES
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.words import Words

MAX_TIMER_CHANGE = 3


def _free_time(rng: Random, state: PhoneState) -> str:
    taken = {alarm.time for alarm in state.alarms}
    times = [f"{hour:02d}:{minute:02d}" for hour in range(24) for minute in range(0, 60, 5)]
    return rng.choice([time for time in times if time not in taken])


def _draw_new(rng: Random, state: PhoneState, words: Words) -> Params:
    time = _free_time(rng, state)
    return {"alarms": {time: [None, True]}, "time": time}


def _draw_labelled(rng: Random, state: PhoneState, words: Words) -> Params:
    time = _free_time(rng, state)
    used = {alarm.label for alarm in state.alarms}
    label = rng.choice([label for label in words.alarm_labels if label not in used])
    return {"alarms": {time: [label, True]}, "time": time, "label": label}


def _draw_toggle(rng: Random, state: PhoneState, words: Words) -> Params:
    alarm = rng.choice(state.alarms)
    value = "off" if alarm.enabled else "on"
    return {
        "alarms": {alarm.time: [alarm.label, not alarm.enabled]},
        "time": alarm.time,
        "label": alarm.label,
        "value": value,
    }


def _draw_delete(rng: Random, state: PhoneState, words: Words) -> Params:
    alarm = rng.choice(state.alarms)
    return {"alarms": {alarm.time: None}, "time": alarm.time, "label": alarm.label}


def _draw_move(rng: Random, state: PhoneState, words: Words) -> Params:
    alarm, time = rng.choice(state.alarms), _free_time(rng, state)
    changes = {alarm.time: None, time: [alarm.label, True]}
    return {"alarms": changes, "time": alarm.time, "label": alarm.label, "new_time": time}


def _draw_timer(rng: Random, state: PhoneState, words: Words) -> Params:
    now = state.timer.minutes
    near = range(max(1, now - MAX_TIMER_CHANGE), min(MAX_TIMER_MINUTES, now + MAX_TIMER_CHANGE) + 1)
    return {"minutes": rng.choice([minutes for minutes in near if minutes != now])}


TEMPLATES = (
    Template(
        id="clock.add_alarm",
        goals=(
            "Set an alarm for {time}.",
            "Add a new alarm at {time}.",
            "Wake me up at {time} with an alarm.",
            "I need an alarm at {time}, please.",
            "Create an alarm for {time} in the clock.",
            "Please let the phone ring at {time}.",
        ),
        draw=_draw_new, solved=alarms_as_wanted, decide=set_alarms, steps=5,
    ),
    Template(
        id="clock.add_labelled_alarm",
        goals=(
            'Set an alarm for {time} called "{label}".',
            'Add an alarm at {time} with the label "{label}".',
            'Create the alarm "{label}" at {time}.',
            'I need an alarm named "{label}" at {time}.',
            'New alarm, please: {time}, label "{label}".',
        ),
        draw=_draw_labelled, solved=alarms_as_wanted, decide=set_alarms, steps=7, targets=("label",),
    ),
    Template(
        id="clock.toggle_alarm",
        goals=(
            'Turn {value} the alarm "{label}".',
            'Switch the {time} alarm "{label}" {value}.',
            'Please turn my "{label}" alarm {value}.',
            'Set the alarm "{label}" at {time} to {value}.',
            'I want the alarm "{label}" {value}.',
        ),
        draw=_draw_toggle, solved=alarms_as_wanted, decide=set_alarms, steps=4, targets=("label",),
    ),
    Template(
        id="clock.delete_alarm",
        goals=(
            'Delete the alarm "{label}".',
            'Remove my {time} alarm "{label}".',
            'I no longer need the alarm "{label}"; delete it.',
            'Get rid of the "{label}" alarm at {time}.',
            'Please delete the alarm called "{label}".',
        ),
        draw=_draw_delete, solved=alarms_as_wanted, decide=set_alarms, steps=5, targets=("label",),
    ),
    Template(
        id="clock.move_alarm",
        goals=(
            'Move the alarm "{label}" to {new_time}.',
            'Change the {time} alarm "{label}" to {new_time}.',
            'Let the "{label}" alarm ring at {new_time} instead.',
            'Edit the alarm "{label}": it should be {new_time}.',
            'Please set my alarm "{label}" to the time {new_time}.',
        ),
        draw=_draw_move, solved=alarms_as_wanted, decide=set_alarms, steps=7, targets=("label",),
    ),
    Template(
        id="clock.start_timer",
        goals=(
            "Start a timer of {minutes} minutes.",
            "Set the timer to {minutes} minutes and start it.",
            "Count down {minutes} minutes with the timer.",
            "I need a timer for {minutes} minutes.",
            "Let the clock's timer run for {minutes} minutes.",
        ),
        draw=_draw_timer, solved=timer_runs, decide=set_timer, steps=7,
    ),
)  # fmt: skip
