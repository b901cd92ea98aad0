"""Tasks in the to-do list: to tick off, add, delete, and drag into another order."""

from random import Random

from qwen2vl_agent.envs.tasks.full.way import drag, on_page
from qwen2vl_agent.envs.tasks.hand import Hand, here
from qwen2vl_agent.envs.tasks.task import Decision, Params, Screen, Task, Template
from qwen2vl_agent.envs.virtual_phone.full.todo import APP
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.words import Words

Entries = list[list]
"""Title and whether done, from top to bottom."""


def _entries(state: PhoneState) -> Entries:
    return [[todo.title, todo.done] for todo in state.extra.todos]


def _draw_tick(rng: Random, state: PhoneState, words: Words) -> Params | None:
    entries = _entries(state)
    open_ones = [entry for entry in entries if not entry[1]]
    if not open_ones:
        return None
    entry = rng.choice(open_ones)
    entry[1] = True
    return {"title": entry[0], "todos": entries}


def _draw_add(rng: Random, state: PhoneState, words: Words) -> Params | None:
    title = f"Fix {rng.choice(words.things)}"
    return {"title": title, "todos": [*_entries(state), [title, False]]}


def _draw_clear(rng: Random, state: PhoneState, words: Words) -> Params | None:
    left = [entry for entry in _entries(state) if not entry[1]]
    return {"todos": left} if len(left) < len(state.extra.todos) else None


def _draw_move(rng: Random, state: PhoneState, words: Words) -> Params:
    entries = _entries(state)
    entry = entries.pop(rng.randrange(2, len(entries)))
    return {"title": entry[0], "todos": [entry, *entries]}


def _draw_below(rng: Random, state: PhoneState, words: Words) -> Params:
    entries = _entries(state)
    place = rng.randrange(0, len(entries) - 2)
    entry = entries.pop(place)
    after = rng.randrange(place + 1, len(entries))
    return {
        "title": entry[0],
        "other": entries[after][0],
        "todos": [*entries[: after + 1], entry, *entries[after + 1 :]],
    }


def _as_wanted(task: Task, state: PhoneState, answer: str | None) -> bool:
    return _entries(state) == task.params["todos"]


def _put(task: Task, screen: Screen) -> Decision:
    """Delete, add, tick and drag entries until they are as wanted."""
    hand, now, wanted = Hand(screen), dict(_entries(screen.state)), dict(task.params["todos"])
    missing = [title for title in wanted if title not in now]
    extra = [title for title in now if title not in wanted]
    if _as_wanted(task, screen.state, None):
        return hand.done()
    way = on_page(hand, APP, [("main", ""), ("new", "")], "clear")
    if way:
        return way
    if hand.page.name == "new":
        return hand.form(APP, {"title": ("Title", missing[0])}) if missing and not extra else hand.back()
    if extra:
        return _delete(hand, now, extra)
    if hand.page.dialog:
        return hand.back("Wrong dialog: go back.")
    if missing:
        return hand.press(f"{APP}:add")
    for title, done in wanted.items():
        if now[title] != done:
            return _tick(hand, title)
    return _drag(hand, list(now), list(wanted))


def _delete(hand: Hand, now: dict[str, bool], extra: list[str]) -> Decision:
    """Tick off what is to go, and nothing else, then delete what is done."""
    for title, done in now.items():
        if done != (title in extra):
            return hand.back("Wrong dialog: go back.") if hand.page.dialog else _tick(hand, title)
    return hand.press(f"{APP}:confirm" if hand.page.dialog else f"{APP}:clear")


def _tick(hand: Hand, title: str) -> Decision:
    order = [f"{APP}:row.{todo.title}" for todo in hand.state.extra.todos]
    return hand.reach(f"{APP}:row.{title}", order, title)


def _drag(hand: Hand, now: list[str], wanted: list[str]) -> Decision:
    """Drag the entry that is farthest from its place there."""
    title = max(wanted, key=lambda name: abs(wanted.index(name) - now.index(name)))
    source, target = hand.find(f"{APP}:handle.{title}"), hand.find(f"{APP}:handle.{now[wanted.index(title)]}")
    if source is None or target is None:
        return hand.back("Put away what is in the way.")
    way = "up" if target.centre[1] < source.centre[1] else "down"
    return drag(
        hand.screen, source.centre, target.centre, here(title, f"and drag its handle {way}").replace("tap ", "")
    )


TEMPLATES = (
    Template(
        id="todo.tick",
        goals=(
            'Tick off "{title}" in the to-do list.',
            'Mark "{title}" as done in To-do.',
            'I did "{title}"; check it off.',
            'In To-do, set a tick at "{title}".',
            'The entry "{title}" of my to-do list is done; mark it.',
        ),
        draw=_draw_tick, solved=_as_wanted, decide=_put, steps=3, targets=("title",),
    ),
    Template(
        id="todo.add",
        goals=(
            'Add "{title}" to the to-do list.',
            'Put "{title}" on my list in To-do.',
            'New entry in To-do: "{title}".',
            'In To-do, add the entry "{title}".',
            'I still have to "{title}"; put that into To-do.',
        ),
        draw=_draw_add, solved=_as_wanted, decide=_put, steps=5, targets=("title",),
    ),
    Template(
        id="todo.clear_done",
        goals=(
            "Delete all entries of the to-do list that are done.",
            "Clear what is ticked off in To-do.",
            "Remove the done entries from my to-do list.",
            "In To-do, delete everything that is done.",
            "Tidy the to-do list: delete what is ticked off.",
        ),
        draw=_draw_clear, solved=_as_wanted, decide=_put, steps=4,
    ),
    Template(
        id="todo.move_to_top",
        goals=(
            'Move "{title}" to the top of the to-do list.',
            'Drag "{title}" to the first place in To-do.',
            'In To-do, "{title}" should come first.',
            'Put the entry "{title}" before all others in To-do.',
            'Make "{title}" the first entry of the to-do list.',
        ),
        draw=_draw_move, solved=_as_wanted, decide=_put, steps=3, targets=("title",),
    ),
    Template(
        id="todo.move_below",
        goals=(
            'Move "{title}" directly below "{other}" in the to-do list.',
            'Drag "{title}" in To-do so that it follows "{other}".',
            'In To-do, put "{title}" right after "{other}".',
            'The entry "{title}" should stand just below "{other}" in To-do.',
            'Let "{title}" come straight after "{other}" in the to-do list.',
        ),
        draw=_draw_below, solved=_as_wanted, decide=_put, steps=3, targets=("title",),
    ),
)  # fmt: skip
