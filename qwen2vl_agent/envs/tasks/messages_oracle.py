"""The way through the messages: to a thread, and to a message sent."""

from qwen2vl_agent.envs.tasks.hand import Hand
from qwen2vl_agent.envs.tasks.task import Decision, Screen, Task
from qwen2vl_agent.envs.tasks.wanted import with_changes
from qwen2vl_agent.envs.virtual_phone.apps.contacts import matching
from qwen2vl_agent.envs.virtual_phone.state import PhoneState

APP = "messages"
ROW = "messages:row."
TO = "messages:to."
SEARCH = "messages:search"


def sent_as_wanted(task: Task, state: PhoneState, answer: str | None) -> bool:
    """Whether the one message was sent to the one person, and nothing else was sent or deleted."""
    before = threads(task.start)
    name, text = task.params["name"], task.params["text"]
    return threads(state) == with_changes(before, {name: [*before.get(name, []), text]})


def send(task: Task, screen: Screen) -> Decision:
    """Write the message to the person and send it."""
    hand = Hand(screen)
    if sent_as_wanted(task, screen.state, None):
        return hand.done()
    if threads(screen.state) != threads(task.start):
        return hand.give_up("A wrong message was sent.")
    params = task.params
    return hand.in_app(APP) or write_to(hand, params["name"], params["text"], params.get("said", ""))


def write_to(hand: Hand, name: str, text: str, said: str = "") -> Decision:
    """Go to the person's thread, write, and send; where the person is not named, what was `said` is looked for."""
    if hand.page.name == "new":
        return pick_receiver(hand, name)
    if hand.page.name == "main" and name not in shown_names(hand.state):
        return hand.press("messages:new")
    way = to_thread(hand, name, said)
    if way:
        return way
    if hand.page.fields.get("text", "") != text:
        return hand.fill("messages:text", text, "Message")
    return hand.press("messages:send")


def to_thread(hand: Hand, name: str, said: str = "") -> Decision | None:
    """The way to the thread with a person; None when it is in front with nothing over it.

    `said` is its last message, by which its row is found where the person is not known.
    """
    way = hand.in_app(APP)
    if way:
        return way
    if hand.page.name == "main":
        return hand.pick(ROW, name, shown_names(hand.state), label=said)
    if hand.page.name != "thread" or hand.page.arg != name or hand.page.dialog:
        return hand.back()
    return None


def pick_receiver(hand: Hand, name: str) -> Decision:
    """Touch the person to write a new message to."""
    people = [person.name for person in matching(hand.state, hand.page.fields.get("search", ""))]
    return hand.pick(TO, name, people, SEARCH)


def shown_names(state: PhoneState) -> list[str]:
    """With whom there are threads, in the order of the list."""
    return [thread.name for thread in state.conversations]


def threads(state: PhoneState) -> dict[str, list[str]]:
    """The texts of every thread that is not empty, by person."""
    return {
        thread.name: [message.text for message in thread.messages] for thread in state.conversations if thread.messages
    }


def chat_deleted(task: Task, state: PhoneState, answer: str | None) -> bool:
    """Whether the one chat is gone and all others are as they were."""
    return threads(state) == with_changes(threads(task.start), {task.params["name"]: None})


def delete_chat(task: Task, screen: Screen) -> Decision:
    """Go to the thread and delete it."""
    hand, name = Hand(screen), task.params["name"]
    if chat_deleted(task, screen.state, None):
        return hand.done()
    if name not in threads(screen.state):
        return hand.give_up("More than that chat was changed.")
    if hand.page.dialog == "delete" and hand.page.arg == name and screen.state.foreground == APP:
        return hand.in_app(APP) or hand.press("messages:confirm")
    return to_thread(hand, name) or hand.press("messages:delete")
