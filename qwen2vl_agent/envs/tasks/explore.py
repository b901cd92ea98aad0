"""Wanders over virtual phones and shows what is met: varied screens with their elements, to learn to see from."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from qwen2vl_agent.envs.virtual_phone.app_list import App, installed, is_full
from qwen2vl_agent.envs.virtual_phone.draw import Mark
from qwen2vl_agent.envs.virtual_phone.full.pages import FULL_BUILDERS
from qwen2vl_agent.envs.virtual_phone.phone import VirtualPhone
from qwen2vl_agent.envs.virtual_phone.settings_catalogue import CHOICES, Group, walk
from qwen2vl_agent.envs.virtual_phone.state import random_state
from qwen2vl_agent.envs.virtual_phone.words import Words
from qwen2vl_agent.schema.observation import Element

MAIN_APP_WEIGHT = 4
"""How much more often an app with content of its own is visited than another."""
VISITS_PER_PHONE = 8
MOVES_PER_VISIT = 6
FIRST_PAGES = ("home", "drawer", "recents", "shade", "app", "app", "app", "app", "app", "app", "app", "settings page")
SETTINGS_PAGES = tuple(item.id for item in walk() if isinstance(item, Group)) + tuple(item.id for item in CHOICES)
STILL_S = 1.0
"""Length of a swipe, in seconds; the phone does not fling."""


@dataclass(frozen=True, slots=True)
class Page:
    """A screen that was met."""

    image: Any
    """PIL image in RGB; not to be painted on."""
    elements: tuple[Element, ...]
    package: str
    page: str
    """App, page and dialog in front, for example `clock/alarms` or `notes/note/delete`."""
    marks: tuple[Mark, ...] = ()
    """Its letters and icons."""


def random_pages(
    seed: int, size: tuple[int, int] = (540, 1200), words: Words | None = None, edition: str = "first"
) -> Iterator[Page]:
    """Screens of an edition of the phone without end, the same for the same seed; no two in a row look alike."""
    rng, words = Random(seed), words or Words.train()
    while True:
        phone = VirtualPhone(random_state(rng.randrange(1 << 31), words, edition), size)
        seen: list[Element] | None = None
        for _ in _wander(phone, rng, words):
            if phone.elements() != seen:
                seen = phone.elements()
                yield page_of(phone)


def page_of(phone: VirtualPhone) -> Page:
    """The screen in front."""
    state = phone.state
    names = ["shade"] if state.shade_open else [state.foreground, state.page.name, state.page.dialog]
    name = "/".join(part for part in names if part)
    return Page(phone.image(), tuple(phone.elements()), phone.foreground[0], name, tuple(phone.marks()))


def _wander(phone: VirtualPhone, rng: Random, words: Words) -> Iterator[None]:
    """Stops after every event worth a look."""
    for _ in range(VISITS_PER_PHONE):
        _enter(phone, rng)
        yield
        start = phone.state.foreground
        for _ in range(rng.randint(1, MOVES_PER_VISIT)):
            _move(phone, rng, words)
            yield
            if phone.state.foreground != start:
                break


def _enter(phone: VirtualPhone, rng: Random) -> None:
    first = rng.choice(FIRST_PAGES)
    phone.press_key("home")
    if first == "drawer":
        _swipe(phone, 0.8, 0.3)
    elif first == "recents":
        phone.press_key("app_switch")
    elif first == "shade":
        _swipe(phone, 0.01, 0.5)
    elif first == "app":
        apps = installed(phone.state.edition)
        phone.launch(rng.choices(apps, [_weight(app, phone.state.edition) for app in apps])[0].package)
    elif first == "settings page":
        phone.launch("settings", rng.choice(SETTINGS_PAGES))


def _weight(app: App, edition: str) -> int:
    return MAIN_APP_WEIGHT if app.main or (is_full(edition) and app.id in FULL_BUILDERS) else 1


def _move(phone: VirtualPhone, rng: Random, words: Words) -> None:
    elements = phone.elements()
    chance = rng.random()
    if phone.state.keyboard.visible and chance < 0.6:
        phone.type_text(_some_text(rng, words))
    elif chance < 0.25 and any(element.scrollable for element in elements):
        low, high = rng.uniform(0.55, 0.8), rng.uniform(0.25, 0.5)
        _swipe(phone, *((low, high) if rng.random() < 0.75 else (high, low)))
    elif chance < 0.3:
        phone.press_key("back")
    else:
        _touch(phone, rng, elements)


def _touch(phone: VirtualPhone, rng: Random, elements: list[Element]) -> None:
    """Tap, now and then hold, anything but the system's own bars; the few buttons as often as the many rows."""
    choices = [element for element in elements if element.clickable and not element.resource_id.startswith("system:")]
    roles = sorted({element.role for element in choices} - ({"key"} if rng.random() < 0.8 else set()))
    if not roles:
        phone.press_key("back")
        return
    role = rng.choice(roles)
    spot = rng.choice([element for element in choices if element.role == role]).centre
    if rng.random() < 0.1:
        phone.long_press(*spot)
    else:
        phone.tap(*spot)


def _swipe(phone: VirtualPhone, start: float, end: float) -> None:
    width, height = phone.size
    phone.swipe(width // 2, int(height * start), width // 2, int(height * end), STILL_S)


def _some_text(rng: Random, words: Words) -> str:
    kinds = (
        lambda: words.full_name(rng),
        lambda: words.phone_number(rng),
        lambda: words.message(rng),
        lambda: words.note_titles(rng, 1)[0],
        lambda: words.note_body(rng),
        lambda: str(rng.randint(0, 59)),
        lambda: rng.choice(words.first_names).lower()[:3],
    )
    return rng.choice(kinds)()
