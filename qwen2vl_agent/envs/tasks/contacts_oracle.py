"""The way through the contacts: to a person's page, and to the wanted address book."""

from qwen2vl_agent.envs.tasks.hand import Hand
from qwen2vl_agent.envs.tasks.task import Decision, Screen, Task
from qwen2vl_agent.envs.tasks.wanted import agrees, differing, extra, missing, with_changes
from qwen2vl_agent.envs.virtual_phone.apps.contacts import matching
from qwen2vl_agent.envs.virtual_phone.state import PhoneState

APP = "contacts"
ROW = "contacts:row."
SEARCH = "contacts:search"
People = dict[str, list]
"""Number and whether a favourite, by name; a wanted part of None may be anything."""


def contacts_as_wanted(task: Task, state: PhoneState, answer: str | None) -> bool:
    """Whether there are the wanted contacts and no others, each with its number and star as wanted."""
    return agrees(_people(state), _wanted(task))


def set_contacts(task: Task, screen: Screen) -> Decision:
    """Add, edit, delete and star contacts until they are as wanted."""
    hand = Hand(screen)
    now, wanted = _people(screen.state), _wanted(task)
    if agrees(now, wanted):
        return hand.done()
    way = hand.in_app(APP)
    if way:
        return way
    if hand.page.name == "edit":
        return _in_form(hand, now, wanted)
    if hand.page.name == "person":
        return _on_person(hand, now, wanted)
    return _in_list(hand, now, wanted)


def to_person(hand: Hand, name: str) -> Decision | None:
    """The way to a person's page; None when it is in front with nothing over it."""
    way = hand.in_app(APP)
    if way:
        return way
    if hand.page.name == "main":
        return pick_person(hand, name)
    if hand.page.name != "person" or hand.page.arg != name or hand.page.dialog:
        return hand.back()
    return None


def pick_person(hand: Hand, name: str) -> Decision:
    """Touch a person's row in the list."""
    return hand.pick(ROW, name, _rows(hand), SEARCH)


def _rows(hand: Hand) -> list[str]:
    return [person.name for person in matching(hand.state, hand.page.fields.get("search", ""))]


def _people(state: PhoneState) -> People:
    return {person.name: [person.phone, person.favorite] for person in state.contacts}


def _wanted(task: Task) -> People:
    return with_changes(_people(task.start), task.params["contacts"])


def _in_form(hand: Hand, now: People, wanted: People) -> Decision:
    here, lacking = hand.page.arg, missing(now, wanted)
    if not here and lacking:
        return _write(hand, lacking[0], wanted)
    if here in differing(now, wanted, 0):
        return _write(hand, here, wanted)
    return hand.back()


def _write(hand: Hand, name: str, wanted: People) -> Decision:
    return hand.form(APP, {"name": ("Name", name), "phone": ("Phone", wanted[name][0] or "")})


def _on_person(hand: Hand, now: People, wanted: People) -> Decision:
    name, dialog = hand.page.arg, hand.page.dialog
    if name in extra(now, wanted):
        steps = {"": "contacts:menu", "menu": "contacts:menu.delete", "delete": "contacts:delete"}
        return hand.press(steps[dialog])
    if dialog:
        return hand.back("Wrong dialog: go back.")
    if name in differing(now, wanted, 0):
        return hand.press("contacts:edit")
    if name in differing(now, wanted, 1):
        return hand.press("contacts:favorite")
    return hand.back()


def _in_list(hand: Hand, now: People, wanted: People) -> Decision:
    for name in (*extra(now, wanted), *differing(now, wanted, 0)):
        return pick_person(hand, name)
    if missing(now, wanted):
        return hand.press("contacts:add")
    name = differing(now, wanted, 1)[0]
    if name not in _rows(hand):
        return pick_person(hand, name)
    order = [ROW + other for other in _rows(hand)]
    return hand.part(f"contacts:star.{name}", ROW + name, order, "star")
