"""Tasks with entries that are read, added by a form and deleted: expenses, calendar and mail."""

from collections.abc import Sequence
from random import Random

from qwen2vl_agent.envs.tasks.answers import says
from qwen2vl_agent.envs.tasks.full.way import get_online, make_online, on_page
from qwen2vl_agent.envs.tasks.hand import Hand
from qwen2vl_agent.envs.tasks.task import Decision, Params, Screen, Task, Template
from qwen2vl_agent.envs.tasks.wanted import with_changes
from qwen2vl_agent.envs.virtual_phone.full.random_content import CATEGORIES
from qwen2vl_agent.envs.virtual_phone.random_phone import DAYS
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.words import Words

FORMS: dict[str, tuple[tuple[tuple[str, str], ...], str, Sequence[str]]] = {
    "expenses": ((("title", "What for"), ("amount", "Amount")), "category", CATEGORIES),
    "calendar": ((("title", "Title"), ("time", "Time")), "day", DAYS),
}
"""Of the apps that have a form: its fields and their labels, and the draft that is chosen from options."""


def entries(state: PhoneState, app: str) -> dict[str, list[str]]:
    """Second field and choice by title, as the app's form takes them, from top to bottom."""
    if app == "expenses":
        return {item.title: [str(item.amount), item.category] for item in state.extra.expenses}
    if app == "calendar":
        return {event.title: [event.time, event.day] for event in state.events}
    return {mail.sender: [mail.subject, ""] for mail in state.mails}


def _draw_amount(rng: Random, state: PhoneState, words: Words) -> Params:
    item = rng.choice(state.extra.expenses)
    return {"title": item.title, "answer": f"${item.amount}"}


def _draw_expense(rng: Random, state: PhoneState, words: Words) -> Params | None:
    title, amount, category = rng.choice(words.things).capitalize(), str(rng.randint(3, 99)), rng.choice(CATEGORIES)
    if title in entries(state, "expenses"):
        return None
    wanted = {title: [amount, category]}
    return {"app": "expenses", "title": title, "amount": amount, "category": category, "entries": wanted}


def _draw_event(rng: Random, state: PhoneState, words: Words) -> Params | None:
    title, day = rng.choice(words.events), rng.choice(DAYS)
    if title in entries(state, "calendar"):
        return None
    time = f"{rng.randint(7, 21):02d}:{rng.choice((0, 15, 30, 45)):02d}"
    return {"app": "calendar", "title": title, "day": day, "time": time, "entries": {title: [time, day]}}


def _draw_delete_expense(rng: Random, state: PhoneState, words: Words) -> Params:
    return _draw_delete(rng, state, "expenses")


def _draw_delete_event(rng: Random, state: PhoneState, words: Words) -> Params:
    return _draw_delete(rng, state, "calendar")


def _draw_delete_mail(rng: Random, state: PhoneState, words: Words) -> Params:
    state.extra.waiting_mails = []
    return _draw_delete(rng, state, "mail")


def _draw_delete(rng: Random, state: PhoneState, app: str) -> Params:
    title = rng.choice(list(entries(state, app)))
    return {"app": app, "title": title, "entries": {title: None}}


def _draw_refresh(rng: Random, state: PhoneState, words: Words) -> Params:
    make_online(state)
    return {"count": len(state.extra.waiting_mails)}


def _draw_newest(rng: Random, state: PhoneState, words: Words) -> Params:
    make_online(state)
    return {"answer": state.extra.waiting_mails[0][0]}


def as_wanted(task: Task, state: PhoneState, answer: str | None) -> bool:
    """Whether the app has the wanted entries and no others."""
    app = task.params["app"]
    return entries(state, app) == with_changes(entries(task.start, app), task.params["entries"])


def _told(task: Task, state: PhoneState, answer: str | None) -> bool:
    expected = task.params["answer"]
    return says(answer, expected) or says(answer, expected.lstrip("$"))


def _refreshed(task: Task, state: PhoneState, answer: str | None) -> bool:
    return not state.extra.waiting_mails


def keep(task: Task, screen: Screen) -> Decision:
    """Delete and add entries until they are as wanted."""
    app = task.params["app"]
    return put_entries(Hand(screen), app, with_changes(entries(task.start, app), task.params["entries"]))


def put_entries(hand: Hand, app: str, wanted: dict[str, list[str]]) -> Decision:
    """The next step towards the wanted entries of an app."""
    now = entries(hand.state, app)
    wrong = [title for title in now if now[title] != wanted.get(title)]
    missing = [title for title in wanted if title not in now]
    if wrong:
        return _delete(hand, app, wrong[0], list(now))
    if not missing:
        return hand.done()
    if app not in FORMS:
        return hand.give_up("An entry is gone.")
    way = on_page(hand, app, [("main", ""), ("new", "")])
    if way or hand.page.name == "main":
        return way or hand.press(f"{app}:add")
    return _fill(hand, app, [missing[0], *wanted[missing[0]]])


def _delete(hand: Hand, app: str, title: str, titles: list[str]) -> Decision:
    way = on_page(hand, app, [("main", ""), ("item", title)], "delete")
    if way:
        return way
    if hand.page.name == "main":
        return hand.pick(f"{app}:row.", title, titles)
    return hand.press(f"{app}:confirm" if hand.page.dialog else f"{app}:delete")


def _fill(hand: Hand, app: str, values: list[str]) -> Decision:
    fields, draft, options = FORMS[app]
    order = [f"{app}:{draft}.{option}" for option in options] + [f"{app}:save"]
    for (name, label), value in zip(fields, values, strict=False):
        if hand.page.fields.get(name, "") != value:
            if hand.find(f"{app}:{name}") is None and not hand.state.keyboard.visible:
                return hand.scroll(False, f'"{label}" is above: scroll up.')
            return hand.fill(f"{app}:{name}", value, label)
    if hand.page.fields.get(draft) != values[-1]:
        return hand.reach(f"{app}:{draft}.{values[-1]}", order, values[-1])
    return hand.reach(f"{app}:save", order, "Save")


def _read_amount(task: Task, screen: Screen) -> Decision:
    hand, title = Hand(screen), task.params["title"]
    order = [f"expenses:row.{other}" for other in entries(screen.state, "expenses")]
    return (
        on_page(hand, "expenses", [("main", "")])
        or hand.scroll_towards(f"expenses:row.{title}", order, title)
        or hand.answer(task.params["answer"], title)
    )


def _refresh(task: Task, screen: Screen) -> Decision:
    """Pull the list down; it is scrolled up by that first."""
    hand = Hand(screen)
    way = get_online(hand) or on_page(hand, "mail", [("main", "")])
    if way:
        return way
    if screen.state.extra.waiting_mails:
        return hand.scroll(False, "Pull the list down to refresh it.")
    if "answer" not in task.params:
        return hand.done()
    sender = task.params["answer"]
    order = [f"mail:row.{other}" for other in entries(screen.state, "mail")]
    return hand.scroll_towards(f"mail:row.{sender}", order, sender) or hand.answer(sender, "Mail")


TEMPLATES = (
    Template(
        id="expenses.read",
        goals=(
            'How much did I spend on "{title}"?',
            'Tell me the amount of "{title}" in Expenses.',
            'What does the Expenses app say that "{title}" cost?',
            'Look up in Expenses what I paid for "{title}".',
            'In Expenses, how much is "{title}"?',
        ),
        draw=_draw_amount, solved=_told, decide=_read_amount, steps=4, targets=("title",),
    ),
    Template(
        id="expenses.add",
        goals=(
            'Add an expense: "{title}", {amount} dollars, category {category}.',
            'I spent {amount} dollars on "{title}" ({category}); enter that in Expenses.',
            'In Expenses, add "{title}" for {amount}, under {category}.',
            'New expense "{title}" of {amount} dollars in the category {category}.',
            'Enter {amount} for "{title}" in Expenses; it belongs to {category}.',
        ),
        draw=_draw_expense, solved=as_wanted, decide=keep, steps=9, targets=("title",),
    ),
    Template(
        id="expenses.delete",
        goals=(
            'Delete the expense "{title}".',
            'Remove "{title}" from Expenses.',
            'The expense "{title}" is wrong; delete it.',
            'In Expenses, get rid of "{title}".',
            'Erase what I spent on "{title}" in Expenses.',
        ),
        draw=_draw_delete_expense, solved=as_wanted, decide=keep, steps=6, targets=("title",),
    ),
    Template(
        id="calendar.add",
        goals=(
            'Add "{title}" to the calendar on {day} at {time}.',
            'New event in Calendar: "{title}", {day}, {time}.',
            'In Calendar, enter "{title}" for {day} at {time}.',
            'I have "{title}" on {day} at {time}; add it to the calendar.',
            'Put the event "{title}" on {day}, {time}, into my calendar.',
        ),
        draw=_draw_event, solved=as_wanted, decide=keep, steps=10, targets=("title",),
    ),
    Template(
        id="calendar.delete",
        goals=(
            'Delete "{title}" from the calendar.',
            'Remove the event "{title}".',
            'The event "{title}" is off; delete it in Calendar.',
            'In Calendar, get rid of "{title}".',
            'Erase "{title}" from my calendar.',
        ),
        draw=_draw_delete_event, solved=as_wanted, decide=keep, steps=6, targets=("title",),
    ),
    Template(
        id="mail.delete",
        goals=(
            'Delete the mail from "{title}".',
            "Remove {title}'s mail.",
            'In Mail, delete what "{title}" wrote.',
            'Get rid of the mail that {title} sent.',
            'Erase the letter from "{title}" in Mail.',
        ),
        draw=_draw_delete_mail, solved=as_wanted, decide=keep, steps=6, targets=("title",),
    ),
    Template(
        id="mail.refresh",
        goals=(
            "Pull down the mail list to get new mail.",
            "Refresh the Mail app.",
            "Get the new mail by pulling down the list.",
            "In Mail, look for new mail.",
            "Fetch what is new in Mail.",
        ),
        draw=_draw_refresh, solved=_refreshed, decide=_refresh, steps=3,
    ),
    Template(
        id="mail.newest",
        goals=(
            "Refresh Mail: who sent the newest mail?",
            "Pull down the mail list; who wrote the first new mail?",
            "Get new mail and tell me the sender at the top.",
            "Who is at the top of Mail once it is refreshed?",
            "Fetch new mail and name the sender of the topmost one.",
        ),
        draw=_draw_newest, solved=_told, decide=_refresh, steps=4, targets=("answer",),
    ),
)  # fmt: skip
