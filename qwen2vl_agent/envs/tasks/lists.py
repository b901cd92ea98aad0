"""Tasks in the apps that are plain lists: something to find and open, or to read."""

from random import Random

from qwen2vl_agent.envs.tasks.answers import says
from qwen2vl_agent.envs.tasks.contacts_oracle import ROW as CONTACT_ROW
from qwen2vl_agent.envs.tasks.contacts_oracle import SEARCH as CONTACT_SEARCH
from qwen2vl_agent.envs.tasks.hand import Hand
from qwen2vl_agent.envs.tasks.task import Decision, Params, Screen, Task, Template
from qwen2vl_agent.envs.virtual_phone.app_list import APP_BY_ID
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.words import Words

APPS = ("music", "files", "mail", "calendar", "weather")
LONG_APPS = ("music", "files", "mail", "contacts")
ROWS_ON_SCREEN = 8
"""Rows of a list that surely show before it is scrolled."""


def titles(state: PhoneState, app: str) -> list[str]:
    """The rows of an app's list from top to bottom."""
    return {
        "music": lambda: [track.title for track in state.tracks],
        "files": lambda: list(state.files),
        "mail": lambda: [mail.sender for mail in state.mails],
        "calendar": lambda: [event.title for event in state.events],
        "weather": lambda: [place.city for place in state.weather],
        "contacts": lambda: sorted(person.name for person in state.contacts),
    }[app]()


def _draw_any(rng: Random, state: PhoneState, words: Words) -> Params:
    app = rng.choice(APPS)
    return {"app": app, "label": APP_BY_ID[app].label, "title": rng.choice(titles(state, app))}


def _draw_far(rng: Random, state: PhoneState, words: Words) -> Params | None:
    app = rng.choice(LONG_APPS)
    far = titles(state, app)[ROWS_ON_SCREEN + 1 :]
    return {"app": app, "label": APP_BY_ID[app].label, "title": rng.choice(far)} if far else None


def _item_in_front(task: Task, state: PhoneState, answer: str | None) -> bool:
    page = state.page
    return (
        state.foreground == task.params["app"] and page.name in ("item", "person") and page.arg == task.params["title"]
    )


def _open_item(task: Task, screen: Screen) -> Decision:
    hand, app, title = Hand(screen), task.params["app"], task.params["title"]
    return to_row(hand, app, title) or hand.pick(_prefix(app), title, titles(screen.state, app), _search(app))


def to_row(hand: Hand, app: str, title: str) -> Decision | None:
    """The way to where a row of an app's list can be read; None when it is there."""
    way = hand.in_app(app)
    if way:
        return way
    if hand.page.name != "main":
        return hand.done() if hand.page.arg == title and hand.page.name in ("item", "person") else hand.back()
    if hand.page.fields.get("search"):
        return None
    order = [_prefix(app) + other for other in titles(hand.state, app)]
    return hand.scroll_towards(_prefix(app) + title, order, title)


def _prefix(app: str) -> str:
    return CONTACT_ROW if app == "contacts" else f"{app}:row."


def _search(app: str) -> str:
    return CONTACT_SEARCH if app == "contacts" else ""


def _draw_weather(rng: Random, state: PhoneState, words: Words) -> Params:
    place = rng.choice(state.weather)
    return {"app": "weather", "title": place.city, "answer": f"{place.degrees}°"}


def _draw_event(rng: Random, state: PhoneState, words: Words) -> Params:
    event = rng.choice(state.events)
    return {"app": "calendar", "title": event.title, "answer": f"{event.day} {event.time}"}


def _answered(task: Task, state: PhoneState, answer: str | None) -> bool:
    return says(answer, task.params["answer"])


def _read(task: Task, screen: Screen) -> Decision:
    hand, app, title = Hand(screen), task.params["app"], task.params["title"]
    if screen.state.foreground == app and hand.page.name != "main":
        return hand.in_app(app) or hand.back()
    return to_row(hand, app, title) or hand.answer(task.params["answer"], title)


TEMPLATES = (
    Template(
        id="list.open_item",
        goals=(
            'Open "{title}" in {label}.',
            'In the app {label}, open "{title}".',
            'Go to {label} and tap "{title}".',
            'Find "{title}" in {label} and open it.',
            'Show me "{title}" in the {label} app.',
        ),
        draw=_draw_any, solved=_item_in_front, decide=_open_item, steps=4, targets=("title",),
    ),
    Template(
        id="list.scroll_to",
        goals=(
            'Scroll down in {label} to "{title}" and open it.',
            'Far down in {label} is "{title}"; open it.',
            'Scroll through {label} until "{title}" and tap it.',
            'Look down the list in {label} and open "{title}".',
            'Open "{title}", near the end of the list in {label}.',
        ),
        draw=_draw_far, solved=_item_in_front, decide=_open_item, steps=4, targets=("title",),
    ),
    Template(
        id="weather.read",
        goals=(
            "How many degrees is it in {title}?",
            "What is the temperature in {title}?",
            'Look at the weather in "{title}"; how warm is it?',
            "Tell me the degrees in {title} from Weather.",
            "How warm is {title} in the Weather app?",
        ),
        draw=_draw_weather, solved=_answered, decide=_read, steps=4, targets=("title",),
    ),
    Template(
        id="calendar.read",
        goals=(
            'When is "{title}" in my calendar?',
            'Tell me day and time of "{title}".',
            'Look up "{title}" in the calendar: when is it?',
            'On which day, and when, is "{title}"?',
            'What does the calendar say: when is "{title}"?',
        ),
        draw=_draw_event, solved=_answered, decide=_read, steps=4, targets=("title",),
    ),
)  # fmt: skip
