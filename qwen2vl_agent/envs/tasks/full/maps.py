"""Tasks on the map: a place has to be dragged into view first."""

from random import Random

from qwen2vl_agent.envs.tasks.full.way import dp, drag, on_page
from qwen2vl_agent.envs.tasks.hand import Hand, not_here
from qwen2vl_agent.envs.tasks.task import Decision, Params, Screen, Task, Template
from qwen2vl_agent.envs.tasks.wanted import with_changes
from qwen2vl_agent.envs.virtual_phone.full.maps import APP, middle
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.words import Words

SHOWN_DP = (140.0, 240.0)
"""What lies farther from the middle than this is not on the map when it opens."""
LONGEST_DP = (150.0, 200.0)
"""How far one drag moves the map at most, across and down."""


def _far(state: PhoneState) -> list[str]:
    return [place.name for place in state.extra.places if abs(place.x) > SHOWN_DP[0] or abs(place.y) > SHOWN_DP[1]]


def _draw_place(rng: Random, state: PhoneState, words: Words) -> Params:
    return {"place": rng.choice(_far(state))}


def _draw_save(rng: Random, state: PhoneState, words: Words) -> Params | None:
    saved = _saved(state)
    names = [name for name in _far(state) if not saved[name]]
    if not names:
        return None
    name = rng.choice(names)
    return {"place": name, "places": {name: True}}


def _saved(state: PhoneState) -> dict[str, bool]:
    return {place.name: place.saved for place in state.extra.places}


def _chosen(task: Task, state: PhoneState, answer: str | None) -> bool:
    page = state.page
    return (state.foreground, page.name) == (APP, "main") and page.fields.get("place") == task.params["place"]


def _as_wanted(task: Task, state: PhoneState, answer: str | None) -> bool:
    return _saved(state) == with_changes(_saved(task.start), task.params["places"])


def _choose(task: Task, screen: Screen) -> Decision:
    hand = Hand(screen)
    return _to_place(hand, task.params["place"]) or hand.done()


def _save(task: Task, screen: Screen) -> Decision:
    hand, now = Hand(screen), _saved(screen.state)
    wanted = with_changes(_saved(task.start), task.params["places"])
    wrong = [name for name in wanted if wanted[name] != now[name]]
    return (_to_place(hand, wrong[0]) or hand.press("maps:save")) if wrong else hand.done()


def _to_place(hand: Hand, name: str) -> Decision | None:
    """Drag the map until a place shows, and tap it; None when it is chosen."""
    way = on_page(hand, APP, [("main", "")])
    if way:
        return way
    if hand.page.fields.get("place") == name:
        return None
    pin = hand.find(f"maps:place.{name}")
    if pin is not None:
        return hand.tap(pin, name)
    place = next(place for place in hand.state.extra.places if place.name == name)
    town, screen = hand.find("maps:map"), hand.screen
    if town is None:
        return hand.back("Put away what is in the way.")
    away = (place.x - middle(hand.state)[0], place.y - middle(hand.state)[1])
    moved = [min(max(distance, -most), most) for distance, most in zip(away, LONGEST_DP, strict=True)]
    x, y = town.centre
    if hand.state.extra.mirrored:
        moved[0] = -moved[0]
    end = (x - dp(screen, moved[0]), y - dp(screen, moved[1]))
    return drag(screen, (x, y), end, not_here(name, "drag the map"))


TEMPLATES = (
    Template(
        id="maps.choose",
        goals=(
            'Show me "{place}" on the map.',
            'Find "{place}" in Maps and tap it.',
            'Where is {place}? Drag the map until you see it, then tap it.',
            'In Maps, choose the place "{place}".',
            'Look for {place} on the map and select it.',
        ),
        draw=_draw_place, solved=_chosen, decide=_choose, steps=6,
    ),
    Template(
        id="maps.save",
        goals=(
            'Save the place "{place}" in Maps.',
            'Find "{place}" on the map and save it.',
            'Keep {place} among my saved places.',
            'In Maps, add "{place}" to the saved places.',
            'Drag the map to {place}, tap it and save it.',
        ),
        draw=_draw_save, solved=_as_wanted, decide=_save, steps=7,
    ),
)  # fmt: skip
