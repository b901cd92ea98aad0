"""Draws a phone at random: one seed, one phone, in every process."""

import random

from qwen2vl_agent.envs.virtual_phone.app_list import APPS
from qwen2vl_agent.envs.virtual_phone.content import (
    Alarm,
    Contact,
    Conversation,
    Event,
    Mail,
    Message,
    Note,
    Timer,
    Track,
    Weather,
)
from qwen2vl_agent.envs.virtual_phone.settings_catalogue import CHOICES, LEVELS, MAX_LEVEL, TOGGLES, Group, walk
from qwen2vl_agent.envs.virtual_phone.state import Home, Look, PhoneState, SettingValue
from qwen2vl_agent.envs.virtual_phone.words import Words

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
GRID_SIZE = 12
DOCK_SIZE = 4
FIRST_DAY_S = 1_704_067_200
"""1 January 2024, the earliest date of a phone."""
DAY_S = 86_400
# Settings whose usual value makes the phone plainly usable; the rest are on or off with equal chance.
_USUALLY_ON = ("wifi.enabled", "mobile.enabled")
_USUALLY_OFF = ("network.airplane_mode", "accessibility.inversion")


def draw_state(seed: int, words: Words) -> PhoneState:
    """A phone on its home screen, every list with at least seven entries."""
    rng = random.Random(seed)
    names = words.full_names(rng, rng.randint(11, 16))
    return PhoneState(
        seed=seed,
        now_s=float(FIRST_DAY_S + rng.randrange(900) * DAY_S + rng.randrange(DAY_S)),
        battery=rng.randint(8, 100),
        look=_look(rng),
        home=_home(rng),
        settings=_settings(rng),
        settings_order=_settings_order(rng),
        contacts=_contacts(rng, words, names),
        conversations=_conversations(rng, words, names),
        alarms=_alarms(rng, words),
        notes=_notes(rng, words),
        mails=[Mail(name, words.message(rng)) for name in words.full_names(rng, rng.randint(7, 10))],
        timer=Timer(minutes=rng.randint(1, 30)),
        events=[
            Event(title, rng.choice(DAYS), f"{rng.randint(7, 21):02d}:{rng.choice((0, 30)):02d}")
            for title in rng.sample(words.events, rng.randint(7, 9))
        ],
        tracks=[Track(song, rng.choice(words.artists)) for song in rng.sample(words.songs, rng.randint(8, 12))],
        weather=[
            Weather(city, rng.randint(-8, 36), rng.choice(("sunny", "cloudy", "rain", "snow")))
            for city in rng.sample(words.cities, rng.randint(7, 10))
        ],
        files=rng.sample(words.files, min(len(words.files), rng.randint(8, 12))),
        network_name=rng.choice(words.networks),
    )


def _look(rng: random.Random) -> Look:
    return Look(
        hue=float(rng.randrange(0, 360, 5)),
        wallpaper=rng.randrange(1 << 30),
        icon_shape=rng.choice(("circle", "circle", "squircle", "square")),
        themed_icons=rng.random() < 0.25,
        cards=rng.random() < 0.6,
        centred_title=rng.random() < 0.3,
        fab_left=rng.random() < 0.2,
        row_icons=rng.random() < 0.8,
        filled_row_icons=rng.random() < 0.5,
    )


def _home(rng: random.Random) -> Home:
    """Icons in random places; now and then one of the main apps is only in the drawer."""
    main = [app.id for app in APPS if app.main]
    others = [app.id for app in APPS if not app.main]
    rng.shuffle(main)
    rng.shuffle(others)
    left_out = 1 if rng.random() < 0.3 else 0
    size = rng.choice((12, 16))
    shown = main[left_out:] + others[: size - len(main) + left_out]
    rng.shuffle(shown)
    drawer = [app.id for app in APPS]
    if rng.random() < 0.5:
        drawer.sort()
    else:
        rng.shuffle(drawer)
    return Home(grid=shown[DOCK_SIZE:], dock=shown[:DOCK_SIZE], drawer=drawer, clock=rng.random() < 0.8)


def _settings(rng: random.Random) -> dict[str, SettingValue]:
    values: dict[str, SettingValue] = {}
    for toggle in TOGGLES:
        chance = 0.85 if toggle.id in _USUALLY_ON else 0.1 if toggle.id in _USUALLY_OFF else 0.5
        values[toggle.id] = rng.random() < chance
    for choice in CHOICES:
        values[choice.id] = rng.choice(choice.options)
    for level in LEVELS:
        values[level.id] = rng.randint(0, MAX_LEVEL)
    values["display.font_size"] = rng.choice(("Small", "Default", "Default", "Medium", "Large"))
    return values


def _settings_order(rng: random.Random) -> dict[str, list[str]]:
    order = {}
    for item in walk():
        if isinstance(item, Group):
            order[item.id] = [child.id for child in item.items]
            rng.shuffle(order[item.id])
    return order


def _contacts(rng: random.Random, words: Words, names: list[str]) -> list[Contact]:
    return [Contact(name, words.phone_number(rng), rng.random() < 0.25) for name in names]


def _conversations(rng: random.Random, words: Words, names: list[str]) -> list[Conversation]:
    return [
        Conversation(name, [_message(rng, words) for _ in range(rng.randint(1, 5))])
        for name in rng.sample(names, rng.randint(7, 10))
    ]


def _message(rng: random.Random, words: Words) -> Message:
    return Message(words.message(rng), rng.random() < 0.5, f"{rng.randint(6, 22):02d}:{rng.randint(0, 59):02d}")


def _alarms(rng: random.Random, words: Words) -> list[Alarm]:
    count = rng.randint(7, 9)
    times = rng.sample([f"{hour:02d}:{minute:02d}" for hour in range(5, 23) for minute in range(0, 60, 5)], count)
    labels = rng.sample(words.alarm_labels, count)
    return [Alarm(time, label, rng.random() < 0.5) for time, label in zip(sorted(times), labels, strict=True)]


def _notes(rng: random.Random, words: Words) -> list[Note]:
    titles = words.note_titles(rng, rng.randint(7, 10))
    return [Note(title, words.note_body(rng), rng.random() < 0.2) for title in titles]
