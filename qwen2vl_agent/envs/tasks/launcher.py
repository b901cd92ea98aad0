"""Tasks on the home screen: apps to open, and the quick settings."""

from random import Random

from qwen2vl_agent.envs.tasks.hand import Hand
from qwen2vl_agent.envs.tasks.settings_oracle import as_wanted, set_wanted, wrong_settings
from qwen2vl_agent.envs.tasks.task import Decision, Params, Screen, Task, Template
from qwen2vl_agent.envs.virtual_phone import navigation
from qwen2vl_agent.envs.virtual_phone.app_list import APP_BY_ID
from qwen2vl_agent.envs.virtual_phone.settings_catalogue import ITEMS
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.system_ui import QUICK_TILES
from qwen2vl_agent.envs.virtual_phone.words import Words


def _on_home(state: PhoneState) -> list[str]:
    return [*state.home.grid, *state.home.dock]


IN_USE_CHANCE = 0.8
"""How often another app is in front when an app is to be opened."""


def _draw_shown(rng: Random, state: PhoneState, words: Words) -> Params:
    app, other = rng.sample(_on_home(state), 2)
    if rng.random() < IN_USE_CHANCE:
        navigation.launch(state, other)
    return {"app": app, "label": APP_BY_ID[app].label}


def _draw_hidden(rng: Random, state: PhoneState, words: Words) -> Params | None:
    hidden = [app for app in state.home.drawer if app not in _on_home(state)]
    if not hidden:
        return None
    app = rng.choice(hidden)
    return {"app": app, "label": APP_BY_ID[app].label}


def _in_front(task: Task, state: PhoneState, answer: str | None) -> bool:
    return state.foreground == task.params["app"]


def _open(task: Task, screen: Screen) -> Decision:
    hand = Hand(screen)
    return hand.in_app(task.params["app"]) or hand.done()


_TILE_LABELS = {setting: label for setting, label, _ in QUICK_TILES}


def _draw_tile(rng: Random, state: PhoneState, words: Words) -> Params:
    setting, label, _ = rng.choice(QUICK_TILES)
    value = not state.settings[setting]
    return {
        "settings": {setting: value},
        "label": label,
        "value": "on" if value else "off",
        "title": ITEMS[setting].title,
    }


def _use_tiles(task: Task, screen: Screen) -> Decision:
    """Through the quick settings, as far as they show what is to be set."""
    hand = Hand(screen)
    wrong = wrong_settings(task, screen.state)
    tiles = [setting for setting in wrong if setting in _TILE_LABELS]
    if not tiles or not screen.state.screen_on:
        return set_wanted(task, screen)
    if screen.state.shade_open:
        return hand.press(f"shade:{tiles[0]}")
    return hand.pull_shade()


TEMPLATES = (
    Template(
        id="launcher.open_app",
        goals=(
            'Open the app "{label}".',
            'Start "{label}" on this phone.',
            'Please open {label} for me.',
            'I want to use the {label} app.',
            'Launch "{label}" from the home screen.',
            'Go to the {label} app.',
        ),
        draw=_draw_shown, solved=_in_front, decide=_open, steps=2,
    ),
    Template(
        id="launcher.open_from_drawer",
        goals=(
            'Open "{label}" from the list of all apps.',
            'Find the app "{label}" and open it.',
            '{label} is not on the home screen; open it.',
            'Look through all apps and start "{label}".',
            'Open the app drawer and then "{label}".',
        ),
        draw=_draw_hidden, solved=_in_front, decide=_open, steps=2,
    ),
    Template(
        id="launcher.quick_setting",
        goals=(
            'Turn {value} "{label}" in the quick settings.',
            'Pull down the quick settings and switch "{label}" {value}.',
            'Use the tile "{label}" to turn it {value}.',
            'Swipe down from the top; set "{label}" to {value}.',
            'From the status bar, turn "{label}" {value}.',
        ),
        draw=_draw_tile, solved=as_wanted, decide=_use_tiles, steps=2,
    ),
)  # fmt: skip
