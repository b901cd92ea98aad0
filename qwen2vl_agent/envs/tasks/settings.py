"""Tasks in Settings: switches, choices, levels, pages and what they say."""

from random import Random

from qwen2vl_agent.envs.tasks.answers import says
from qwen2vl_agent.envs.tasks.hand import Hand
from qwen2vl_agent.envs.tasks.settings_oracle import (
    APP,
    as_wanted,
    go_to,
    here_in_settings,
    row_id,
    row_order,
    set_wanted,
)
from qwen2vl_agent.envs.tasks.task import Decision, Params, Screen, Task, Template
from qwen2vl_agent.envs.virtual_phone.settings_catalogue import (
    CHOICES,
    ITEMS,
    LEVELS,
    MAX_LEVEL,
    TOGGLES,
    Choice,
    Group,
    Item,
    path_to,
    walk,
)
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.words import Words

MIN_ROWS = 7
"""Rows on a page from which a target is chosen: the target and at least six others."""


def _roomy(item: Item) -> bool:
    return len(path_to(item.id)[-1].items) >= MIN_ROWS


_TOGGLES = tuple(item for item in TOGGLES if _roomy(item))
_CHOICES = tuple(item for item in CHOICES if _roomy(item) and len(item.options) >= MIN_ROWS)
_LEVELS = tuple(item for item in LEVELS if _roomy(item))
_PAGES = tuple(item for item in walk() if isinstance(item, Group) and item.id != "root" and _roomy(item))


def _place(item: Item) -> str:
    """The pages above an item, as a person says them: `Network > Wi-Fi`."""
    return " > ".join(group.title for group in path_to(item.id)[1:])


def _onoff(value: bool) -> str:
    return "on" if value else "off"


def _draw_toggle(rng: Random, state: PhoneState, words: Words) -> Params:
    item = rng.choice(_TOGGLES)
    value = not state.settings[item.id]
    return {"settings": {item.id: value}, "label": item.title, "place": _place(item), "value": _onoff(value)}


def _draw_two(rng: Random, state: PhoneState, words: Words) -> Params:
    page = path_to(rng.choice(_TOGGLES).id)[-1]
    first, second = rng.sample([item for item in _TOGGLES if path_to(item.id)[-1] is page], 2)
    one, two = not state.settings[first.id], not state.settings[second.id]
    return {
        "settings": {first.id: one, second.id: two},
        "label": first.title,
        "value": _onoff(one),
        "other": second.title,
        "other_value": _onoff(two),
        "place": _place(first),
    }


def _draw_choice(rng: Random, state: PhoneState, words: Words) -> Params:
    item = rng.choice(_CHOICES)
    value = rng.choice([option for option in item.options if option != state.settings[item.id]])
    return {"settings": {item.id: value}, "label": item.title, "place": _place(item), "value": value}


def _draw_level(rng: Random, state: PhoneState, words: Words) -> Params:
    item = rng.choice(_LEVELS)
    now = int(state.settings[item.id])
    value = rng.choice([level for level in range(MAX_LEVEL + 1) if 1 <= abs(level - now) <= 3])
    return {"settings": {item.id: value}, "label": item.title, "place": _place(item), "value": value}


def _draw_page(rng: Random, state: PhoneState, words: Words) -> Params:
    item = rng.choice(_PAGES)
    place = " > ".join(("Settings", *(group.title for group in path_to(item.id)[1:])))
    return {"page": item.id, "label": item.title, "place": place}


def _on_page(task: Task, state: PhoneState, answer: str | None) -> bool:
    return state.foreground == APP and state.page.arg == task.params["page"]


def _open_page(task: Task, screen: Screen) -> Decision:
    hand = Hand(screen)
    return hand.in_app(APP) or go_to(hand, task.params["page"]) or hand.done()


def _draw_question(rng: Random, state: PhoneState, words: Words) -> Params:
    item = rng.choice(_CHOICES)
    return {"setting": item.id, "label": item.title, "place": _place(item), "answer": str(state.settings[item.id])}


def _answered(task: Task, state: PhoneState, answer: str | None) -> bool:
    return says(answer, task.params["answer"])


def _read(task: Task, screen: Screen) -> Decision:
    """The value is written on the choice's row, and on its page too."""
    hand = Hand(screen)
    setting = task.params["setting"]
    item, group = ITEMS[setting], path_to(setting)[-1].id
    value = str(screen.state.settings[setting])
    way = hand.in_app(APP)
    if way:
        return way
    if isinstance(item, Choice) and here_in_settings(hand) == setting:
        return hand.answer(value, item.title)
    return (
        go_to(hand, group)
        or hand.scroll_towards(row_id(setting), row_order(hand, group), item.title)
        or hand.answer(value, item.title)
    )


TEMPLATES = (
    Template(
        id="settings.toggle",
        goals=(
            'Turn {value} "{label}" in the settings.',
            'In Settings, {place}, switch "{label}" {value}.',
            'Please turn "{label}" {value} under {place}.',
            'Set "{label}" to {value} in {place} settings.',
            'Open {place} in Settings and turn {value} "{label}".',
            'I want "{label}" {value}, see {place}.',
        ),
        draw=_draw_toggle, solved=as_wanted, decide=set_wanted, steps=6,
    ),
    Template(
        id="settings.two_toggles",
        goals=(
            'In {place} settings, turn {value} "{label}" and turn {other_value} "{other}".',
            'Switch "{label}" {value} and "{other}" {other_value} in {place}.',
            'Under {place}, set "{label}" to {value} and "{other}" to {other_value}.',
            'Settings, {place}: "{label}" {value}, "{other}" {other_value}.',
            'Go to {place}; turn "{label}" {value} and "{other}" {other_value}.',
        ),
        draw=_draw_two, solved=as_wanted, decide=set_wanted, steps=8,
    ),
    Template(
        id="settings.choose",
        goals=(
            'Set "{label}" to "{value}" in {place} settings.',
            'In Settings, {place}, choose "{value}" for "{label}".',
            'Change "{label}" to "{value}" under {place}.',
            'Pick "{value}" as "{label}" in {place}.',
            'I want "{label}" to be "{value}"; look in {place}.',
        ),
        draw=_draw_choice, solved=as_wanted, decide=set_wanted, steps=8,
    ),
    Template(
        id="settings.level",
        goals=(
            'Set "{label}" to {value} in {place} settings.',
            'In Settings, {place}, put "{label}" at {value}.',
            'Change "{label}" to level {value} under {place}.',
            'Make "{label}" {value} in {place}.',
            'I want "{label}" at {value}; see {place} settings.',
        ),
        draw=_draw_level, solved=as_wanted, decide=set_wanted, steps=8,
    ),
    Template(
        id="settings.navigate",
        goals=(
            'Open the "{label}" page in {place}.',
            'Show me the "{label}" settings, under {place}.',
            'Go to {place} > "{label}".',
            'Take me to "{label}" in {place}.',
            'I want to see "{label}" under {place}.',
            'Navigate to the page "{label}" in {place}.',
        ),
        draw=_draw_page, solved=_on_page, decide=_open_page, steps=6,
    ),
    Template(
        id="settings.read",
        goals=(
            'What is "{label}" set to in {place} settings?',
            'Look in {place}: which "{label}" is chosen?',
            'Tell me the "{label}" from {place} settings.',
            'Which value has "{label}" under {place}?',
            'In Settings, {place}, read "{label}" and answer it.',
        ),
        draw=_draw_question, solved=_answered, decide=_read, steps=7,
    ),
)  # fmt: skip
