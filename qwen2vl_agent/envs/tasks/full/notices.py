"""Tasks with notifications, below the quick settings."""

from random import Random

from qwen2vl_agent.envs.tasks.answers import says
from qwen2vl_agent.envs.tasks.full.way import dp, drag
from qwen2vl_agent.envs.tasks.hand import Hand, here
from qwen2vl_agent.envs.tasks.task import Decision, Params, Screen, Task, Template
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.words import Words

LONGEST_TEXT = 28
"""Letters of a notification that surely fit on its line."""
ASIDE_DP = 150.0


def _draw_notice(rng: Random, state: PhoneState, words: Words) -> Params:
    notice = rng.choice(state.extra.notices)
    return {"title": notice.title, "app": notice.app}


def _draw_text(rng: Random, state: PhoneState, words: Words) -> Params | None:
    short = [notice for notice in state.extra.notices if len(notice.text) <= LONGEST_TEXT]
    if not short:
        return None
    notice = rng.choice(short)
    return {"title": notice.title, "answer": notice.text}


def _draw_all(rng: Random, state: PhoneState, words: Words) -> Params:
    return {"count": len(state.extra.notices)}


def _titles(state: PhoneState) -> list[str]:
    return [notice.title for notice in state.extra.notices]


def _opened(task: Task, state: PhoneState, answer: str | None) -> bool:
    return task.params["title"] not in _titles(state) and state.foreground == task.params["app"]


def _dismissed(task: Task, state: PhoneState, answer: str | None) -> bool:
    left = [title for title in _titles(task.start) if title != task.params["title"]]
    return _titles(state) == left and not any(used.app == task.params["app"] for used in state.tasks)


def _cleared(task: Task, state: PhoneState, answer: str | None) -> bool:
    return not state.extra.notices


def _told(task: Task, state: PhoneState, answer: str | None) -> bool:
    return says(answer, task.params["answer"])


def _shade(hand: Hand) -> Decision | None:
    """Open the notifications; None when they are shown."""
    if not hand.state.screen_on:
        return hand.key("wakeup", "The screen is off: wake it.")
    return None if hand.state.shade_open else hand.pull_shade()


def _open(task: Task, screen: Screen) -> Decision:
    hand, title = Hand(screen), task.params["title"]
    if title not in _titles(screen.state):
        return hand.in_app(task.params["app"]) or hand.done()
    return _shade(hand) or hand.press(f"shade:notice.{title}", title)


def _dismiss(task: Task, screen: Screen) -> Decision:
    hand, title = Hand(screen), task.params["title"]
    if title not in _titles(screen.state):
        return hand.done() if _dismissed(task, screen.state, None) else hand.give_up("It was not only dismissed.")
    way = _shade(hand)
    row = hand.find(f"shade:notice.{title}")
    if way or row is None:
        return way or hand.back()
    end = (row.centre[0] + dp(screen, ASIDE_DP), row.centre[1])
    return drag(screen, row.centre, end, here(title, "it").replace("tap it", "swipe it aside"))


def _clear(task: Task, screen: Screen) -> Decision:
    hand = Hand(screen)
    return hand.done() if _cleared(task, screen.state, None) else _shade(hand) or hand.press("shade:clear")


def _read(task: Task, screen: Screen) -> Decision:
    hand, title = Hand(screen), task.params["title"]
    if title not in _titles(screen.state):
        return hand.give_up("The notification is gone.")
    return _shade(hand) or hand.answer(task.params["answer"], title)


TEMPLATES = (
    Template(
        id="notices.open",
        goals=(
            'Open the notification of "{title}".',
            'Pull down the notifications and tap "{title}".',
            'There is a notification "{title}"; open it.',
            'Go to what the notification "{title}" is about.',
            'Tap the notification titled "{title}".',
        ),
        draw=_draw_notice, solved=_opened, decide=_open, steps=2, targets=("title",),
    ),
    Template(
        id="notices.dismiss",
        goals=(
            'Dismiss the notification "{title}" without opening it.',
            'Swipe away the notification of "{title}".',
            'Pull down the notifications and swipe "{title}" aside.',
            'I do not need the notification "{title}"; swipe it away.',
            'Remove only the notification "{title}".',
        ),
        draw=_draw_notice, solved=_dismissed, decide=_dismiss, steps=2, targets=("title",),
    ),
    Template(
        id="notices.clear",
        goals=(
            "Clear all notifications.",
            "Remove every notification at once.",
            "Pull down from the top and clear all notifications.",
            "There are {count} notifications; clear them all.",
            "Empty the list of notifications.",
        ),
        draw=_draw_all, solved=_cleared, decide=_clear, steps=2,
    ),
    Template(
        id="notices.read",
        goals=(
            'What does the notification of "{title}" say?',
            'Read me the notification titled "{title}".',
            'Pull down the notifications: what does "{title}" say?',
            'Tell me the text of the notification "{title}".',
            'There is a notification "{title}"; answer with its text.',
        ),
        draw=_draw_text, solved=_told, decide=_read, steps=2, targets=("title",),
    ),
)  # fmt: skip
