"""Tasks that take something from one app to another."""

from random import Random

from qwen2vl_agent.envs.tasks.clock_oracle import alarms_as_wanted, set_alarms
from qwen2vl_agent.envs.tasks.contacts_oracle import to_person
from qwen2vl_agent.envs.tasks.hand import Hand, remembering
from qwen2vl_agent.envs.tasks.lists import to_row
from qwen2vl_agent.envs.tasks.messages_oracle import send, sent_as_wanted, threads, to_thread
from qwen2vl_agent.envs.tasks.notes import new_title
from qwen2vl_agent.envs.tasks.notes_oracle import notes_as_wanted, set_notes
from qwen2vl_agent.envs.tasks.task import Decision, Params, Screen, Task, Template
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.words import Words

FIRST_ROWS = 7
"""Events that show without scrolling, so that a visit to the calendar has shown them."""


def _draw_number(rng: Random, state: PhoneState, words: Words) -> Params:
    about, to = rng.sample(state.contacts, 2)
    return {"about": about.name, "name": to.name, "text": about.phone}


def _send_number(task: Task, screen: Screen) -> Decision:
    """Read the number on the person's page, then write it to the other."""
    hand, about = Hand(screen), task.params["about"]
    read = hand.visited("contacts", "person", about)
    if read or sent_as_wanted(task, screen.state, None) or threads(screen.state) != threads(task.start):
        return _reading(hand, ("contacts", "person", about), send(task, screen), about, task.params["text"])
    return to_person(hand, about) or send(task, screen)


def _draw_kept(rng: Random, state: PhoneState, words: Words) -> Params | None:
    thread, title = rng.choice(state.conversations), new_title(rng, state, words)
    text = thread.messages[-1].text
    return title and {"name": thread.name, "title": title, "notes": {title: [text, False]}}  # type: ignore[return-value]


def _keep_message(task: Task, screen: Screen) -> Decision:
    """Read the last message in its thread, then write it down."""
    hand, name = Hand(screen), task.params["name"]
    if hand.visited("messages", "thread", name) or notes_as_wanted(task, screen.state, None):
        text = str(task.params["notes"][task.params["title"]][0])
        return _reading(hand, ("messages", "thread", name), set_notes(task, screen), name, text)
    if name not in {thread.name for thread in screen.state.conversations}:
        return set_notes(task, screen)
    return to_thread(hand, name) or set_notes(task, screen)


def _draw_event(rng: Random, state: PhoneState, words: Words) -> Params | None:
    event = rng.choice(state.events[:FIRST_ROWS])
    if any(alarm.time == event.time for alarm in state.alarms):
        return None
    return {"title": event.title, "alarms": {event.time: [None, True]}}


def _wake_for_event(task: Task, screen: Screen) -> Decision:
    """Read the event's time in the calendar, then set the alarm."""
    hand = Hand(screen)
    in_use = any(used.app == "calendar" for used in screen.state.tasks)
    in_front = screen.state.foreground == "calendar"
    if alarms_as_wanted(task, screen.state, None) or (in_use and not in_front):
        return set_alarms(task, screen)
    if in_front and hand.page.name != "main":
        return hand.in_app("calendar") or hand.back()
    title = task.params["title"]
    when = next(f"{event.day} {event.time}" for event in screen.state.events if event.title == title)
    return to_row(hand, "calendar", title) or remembering(set_alarms(task, screen), title, when)


def _reading(hand: Hand, where: tuple[str, str, str], then: Decision, label: str, text: str) -> Decision:
    """What to do next; while the page `where` is in front, with what is read there."""
    in_front = (hand.state.foreground, hand.page.name, hand.page.arg) == where and not hand.page.dialog
    return remembering(then, label, text) if in_front and not hand.state.shade_open else then


TEMPLATES = (
    Template(
        id="multi.message_contact_number",
        goals=(
            'Send the phone number of {about} to {name}.',
            'Text {name} the number of "{about}".',
            "Look up {about}'s number and send it to {name}.",
            'Message "{name}" with the phone number of "{about}".',
            '{name} needs the number of {about}; send it.',
        ),
        draw=_draw_number, solved=sent_as_wanted, decide=_send_number, steps=12, targets=("about", "name"),
    ),
    Template(
        id="multi.note_from_message",
        goals=(
            'Save the last message from the chat with {name} in a note "{title}".',
            'Write a note "{title}" with the last message of the chat "{name}".',
            'Copy the latest message with {name} into a new note "{title}".',
            'Keep what stands last in the chat with {name} as note "{title}".',
            'New note "{title}": the last message from the chat with {name}.',
        ),
        draw=_draw_kept, solved=notes_as_wanted, decide=_keep_message, steps=11, targets=("name", "title"),
    ),
    Template(
        id="multi.alarm_from_event",
        goals=(
            'Set an alarm for the time of "{title}" in the calendar.',
            'Look up when "{title}" is and set an alarm for then.',
            'I need an alarm at the time of "{title}" from my calendar.',
            'See the time of "{title}" in Calendar; add that alarm.',
            'Let an alarm ring when "{title}" starts; see the calendar.',
        ),
        draw=_draw_event, solved=alarms_as_wanted, decide=_wake_for_event, steps=8, targets=("title",),
    ),
)  # fmt: skip
