"""The way through the clock: to the wanted alarms and the wanted timer."""

from qwen2vl_agent.envs.tasks.hand import Hand, comparing
from qwen2vl_agent.envs.tasks.task import Decision, Screen, Task
from qwen2vl_agent.envs.tasks.wanted import agrees, differing, extra, missing, with_changes
from qwen2vl_agent.envs.virtual_phone.state import PhoneState

APP = "clock"
Alarms = dict[str, list]
"""Label and whether it is on, by time; a wanted label of None may be any."""


def alarms_as_wanted(task: Task, state: PhoneState, answer: str | None) -> bool:
    """Whether there are the wanted alarms and no others, each on or off as wanted."""
    return agrees(_alarms(state), _wanted(task))


def set_alarms(task: Task, screen: Screen) -> Decision:
    """Add, change, delete and switch alarms until they are as wanted."""
    hand = Hand(screen)
    now, wanted = _alarms(screen.state), _wanted(task)
    way = hand.in_app(APP)
    if agrees(now, wanted):
        return hand.done()
    if way:
        return way
    if hand.page.name == "edit":
        return _in_form(hand, now, wanted)
    return to_tab(hand, "alarms") or _in_list(hand, now, wanted, task.goal)


def to_tab(hand: Hand, name: str) -> Decision | None:
    """The way to a tab of the clock; None when it is in front."""
    if hand.page.name == name:
        return None
    return hand.press(f"clock:tab.{name}")


def set_timer(task: Task, screen: Screen) -> Decision:
    """Set the timer's minutes, then start it; stop it first where it runs with others."""
    hand = Hand(screen)
    way = hand.in_app(APP)
    if timer_runs(task, screen.state, None):
        return hand.done()
    if way:
        return way
    if hand.page.name == "edit":
        return hand.back()
    timer, wanted = screen.state.timer, task.params["minutes"]
    return to_tab(hand, "timer") or _set_minutes(hand, timer.ends_at_s is not None, timer.minutes, wanted)


def timer_runs(task: Task, state: PhoneState, answer: str | None) -> bool:
    """Whether the timer was started with the wanted minutes, less than a minute ago."""
    timer, minutes = state.timer, task.params["minutes"]
    if timer.ends_at_s is None or timer.minutes != minutes:
        return False
    return 0 <= 60 * minutes - (timer.ends_at_s - state.now_s) < 60


def _set_minutes(hand: Hand, running: bool, now: int, wanted: int) -> Decision:
    """One step towards the wanted minutes, or the start; a timer that runs with others is stopped first."""
    if running:
        return hand.press("clock:timer.start")
    button = "start" if now == wanted else f"minutes.{'more' if now < wanted else 'less'}"
    return comparing(hand.press(f"clock:timer.{button}"), hand.say("Minutes"), now, wanted)


def _alarms(state: PhoneState) -> Alarms:
    return {alarm.time: [alarm.label, alarm.enabled] for alarm in state.alarms}


def _wanted(task: Task) -> Alarms:
    return with_changes(_alarms(task.start), task.params["alarms"])


def _in_form(hand: Hand, now: Alarms, wanted: Alarms) -> Decision:
    """Turn the alarm of this form into one that is missing, mend its label, or delete it."""
    here = hand.page.arg
    lacking, surplus = missing(now, wanted), extra(now, wanted)
    if lacking and (not here or here in surplus):
        return _write(hand, lacking[0], wanted[lacking[0]][0])
    if here in differing(now, wanted, 0):
        return _write(hand, here, wanted[here][0])
    if here in surplus:
        return hand.press("clock:delete")
    return hand.back()


def _write(hand: Hand, time: str, label: str | None) -> Decision:
    wanted = {"time": ("Time", time)}
    if label is not None:
        wanted["label"] = ("Label", label)
    return hand.form(APP, wanted)


def _in_list(hand: Hand, now: Alarms, wanted: Alarms, goal: str) -> Decision:
    times = sorted(now)
    order = [f"clock:alarm.{time}" for time in times]
    for time in (*extra(now, wanted), *differing(now, wanted, 0)):
        return hand.pick("clock:alarm.", time, times, label=_called(time, now, goal))
    if missing(now, wanted):
        return hand.press("clock:add")
    time = differing(now, wanted, 1)[0]
    label = _called(time, now, goal)
    return hand.part(f"clock:switch.{time}", f"clock:alarm.{time}", order, "switch", label)


def _called(time: str, now: Alarms, goal: str) -> str:
    """What the goal calls an alarm: its label, where its time is not told."""
    label = now[time][0]
    return label if time not in goal and label and label in goal else time
