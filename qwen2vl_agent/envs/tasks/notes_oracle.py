"""The way through the notes: to a note's page, and to the wanted notes."""

from qwen2vl_agent.envs.tasks.hand import Hand
from qwen2vl_agent.envs.tasks.task import Decision, Screen, Task
from qwen2vl_agent.envs.tasks.wanted import agrees, differing, extra, missing, with_changes
from qwen2vl_agent.envs.virtual_phone.state import PhoneState

APP = "notes"
ROW = "notes:row."
SEARCH = "notes:search"
Pages = dict[str, list]
"""Body and whether pinned, by title."""


def notes_as_wanted(task: Task, state: PhoneState, answer: str | None) -> bool:
    """Whether there are the wanted notes and no others, each with its body and pin as wanted."""
    return agrees(_notes(state), _wanted(task))


def set_notes(task: Task, screen: Screen) -> Decision:
    """Write, edit, delete and pin notes until they are as wanted."""
    hand = Hand(screen)
    now, wanted = _notes(screen.state), _wanted(task)
    if agrees(now, wanted):
        return hand.done()
    way = hand.in_app(APP)
    if way:
        return way
    if hand.page.name == "edit":
        return _in_form(hand, now, wanted)
    if hand.page.name == "note":
        return _on_note(hand, now, wanted)
    return _in_list(hand, now, wanted)


def to_note(hand: Hand, title: str) -> Decision | None:
    """The way to a note's page; None when it is in front with nothing over it."""
    way = hand.in_app(APP)
    if way:
        return way
    if hand.page.name == "main":
        return pick_note(hand, title)
    if hand.page.name != "note" or hand.page.arg != title or hand.page.dialog:
        return hand.back()
    return None


def pick_note(hand: Hand, title: str) -> Decision:
    """Touch a note's row in the list."""
    return hand.pick(ROW, title, shown_titles(hand.state, hand.page.fields.get("search", "")), SEARCH)


def shown_titles(state: PhoneState, query: str = "") -> list[str]:
    """Titles in the order of the list: pinned notes first."""
    query = query.strip().lower()
    found = [note for note in state.notes if query in note.title.lower() or query in note.body.lower()]
    return [note.title for note in sorted(found, key=lambda note: not note.pinned)]


def _notes(state: PhoneState) -> Pages:
    return {note.title: [note.body, note.pinned] for note in state.notes}


def _wanted(task: Task) -> Pages:
    return with_changes(_notes(task.start), task.params["notes"])


def _in_form(hand: Hand, now: Pages, wanted: Pages) -> Decision:
    here, lacking = hand.page.arg, missing(now, wanted)
    if not here and lacking:
        return _write(hand, lacking[0], wanted)
    if here in differing(now, wanted, 0):
        return _write(hand, here, wanted)
    return hand.back()


def _write(hand: Hand, title: str, wanted: Pages) -> Decision:
    return hand.form(APP, {"title": ("Title", title), "body": ("Text", wanted[title][0])})


def _on_note(hand: Hand, now: Pages, wanted: Pages) -> Decision:
    title, dialog = hand.page.arg, hand.page.dialog
    if title in extra(now, wanted):
        return hand.press("notes:confirm" if dialog else "notes:delete")
    if dialog:
        return hand.back("Wrong dialog: go back.")
    if title in differing(now, wanted, 0):
        return hand.press("notes:edit")
    if title in differing(now, wanted, 1):
        return hand.press("notes:pin")
    return hand.back()


def _in_list(hand: Hand, now: Pages, wanted: Pages) -> Decision:
    for title in (*extra(now, wanted), *differing(now, wanted, 0)):
        return pick_note(hand, title)
    if missing(now, wanted):
        return hand.press("notes:add")
    title = differing(now, wanted, 1)[0]
    titles = shown_titles(hand.state, hand.page.fields.get("search", ""))
    if title not in titles:
        return pick_note(hand, title)
    order = [ROW + other for other in titles]
    return hand.part(f"notes:pin.{title}", ROW + title, order, "pin")
