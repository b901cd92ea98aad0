"""Furnishes a phone of the full edition: on top of the first edition's draw, from the phone's own seed."""

from random import Random

from qwen2vl_agent.envs.virtual_phone.app_list import FULL, MORE_APPS
from qwen2vl_agent.envs.virtual_phone.full.content import (
    Expense,
    Extra,
    Notice,
    Photo,
    Place,
    Product,
    Site,
    Todo,
)
from qwen2vl_agent.envs.virtual_phone.locales import locale_of
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.words import Words

FOLDERS = ("Work", "Trips", "Family", "Bills")
PLAYLISTS = ("Morning", "Running", "Dinner", "Focus")
CATEGORIES = ("Food", "Travel", "Home", "Fun")
PLACE_KINDS = (
    ("Cafe", "local_cafe"),
    ("Restaurant", "restaurant"),
    ("Clinic", "local_hospital"),
    ("School", "school"),
    ("Hotel", "hotel"),
    ("Park", "park"),
    ("Library", "local_library"),
    ("Store", "store"),
)
TOWN_DP = 420.0
"""How far places lie from the middle of the town at most."""
SITES = ("News", "Recipes", "Sports", "Travel", "Museum", "Radio")
NOTICE_APPS = ("messages", "mail", "calendar", "music", "shop")
PAGE_TWO = 8
MIRRORED_SHARE = 0.12
"""Phones that are laid out from right to left."""


def furnish(state: PhoneState, words: Words, edition: str = FULL) -> PhoneState:
    """The phone with the content of a full edition; `state` is changed and given back."""
    rng = Random(f"full {state.seed}")
    state.edition, locale = edition, locale_of(edition)
    _install(rng, state)
    state.extra = Extra(
        home_page=_second_page(rng, state),
        folders=_folders(rng, state, words),
        photos=[Photo(number, rng.random() < 0.25) for number in range(rng.randint(10, 16), -1, -1)],
        playlists={
            name: [track.title for track in rng.sample(state.tracks, rng.randint(2, 4))]
            for name in rng.sample(PLAYLISTS, 3)
        },
        sites=_sites(rng, words),
        places=_places(rng, words),
        products=[
            Product(thing.capitalize(), rng.randint(2, 60), rng.randint(1, 5))
            for thing in rng.sample(words.things, rng.randint(9, 12))
        ],
        todos=[Todo(f"Buy {thing}", rng.random() < 0.25) for thing in rng.sample(words.things, rng.randint(5, 6))],
        expenses=[
            Expense(thing.capitalize(), rng.randint(3, 90), rng.choice(CATEGORIES))
            for thing in rng.sample(words.things, rng.randint(5, 7))
        ],
        notices=_notices(rng, state, words),
        waiting_mails=_new_mails(rng, state, words),
        mirrored=locale.mirrored if locale else rng.random() < MIRRORED_SHARE,
    )
    return state


def _install(rng: Random, state: PhoneState) -> None:
    in_order = state.home.drawer == sorted(state.home.drawer)
    for app in MORE_APPS:
        state.home.drawer.insert(rng.randrange(len(state.home.drawer) + 1), app.id)
    if in_order:
        state.home.drawer.sort()


def _second_page(rng: Random, state: PhoneState) -> list[str]:
    others = [app for app in state.home.drawer if app not in (*state.home.grid, *state.home.dock)]
    return rng.sample(others, min(PAGE_TWO, len(others)) // 2)


def _folders(rng: Random, state: PhoneState, words: Words) -> dict[str, list[str]]:
    rest = [name for name in words.files if name not in state.files]
    rng.shuffle(rest)
    names = rng.sample(FOLDERS, 3)
    return {name: rest[index::3][: rng.randint(1, 3)] for index, name in enumerate(names)}


def _sites(rng: Random, words: Words) -> list[Site]:
    names, facts = list(SITES), rng.sample(words.cities, len(SITES))
    rng.shuffle(names)
    return [
        Site(
            name, f"Our town of the week is {facts[index]}.", [other for other in rng.sample(names, 3) if other != name]
        )
        for index, name in enumerate(names)
    ]


def _places(rng: Random, words: Words) -> list[Place]:
    """Places on a grid of cells, so that no two touch."""
    cells = [(x, y) for x in (-330, -110, 110, 330) for y in (-390, -130, 130, 390)]
    kinds, firsts = list(PLACE_KINDS), rng.sample(words.last_names, len(PLACE_KINDS))
    spots = rng.sample(cells, len(kinds))
    return [
        Place(f"{first} {kind}", icon, x + rng.uniform(-30, 30), y + rng.uniform(-60, 60), rng.random() < 0.2)
        for (kind, icon), first, (x, y) in zip(kinds, firsts, spots, strict=True)
    ]


def _notices(rng: Random, state: PhoneState, words: Words) -> list[Notice]:
    apps = rng.sample(NOTICE_APPS, 3)
    senders = words.full_names(rng, len(apps))
    return [Notice(app, name, words.message(rng)) for app, name in zip(apps, senders, strict=True)]


def _new_mails(rng: Random, state: PhoneState, words: Words) -> list[list[str]]:
    known = {mail.sender for mail in state.mails}
    fresh = [name for name in words.full_names(rng, 12) if name not in known]
    return [[name, words.message(rng)] for name in fresh[:2]]
