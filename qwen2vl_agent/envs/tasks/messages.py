"""Tasks in the messages."""

from random import Random

from qwen2vl_agent.envs.tasks.answers import says
from qwen2vl_agent.envs.tasks.hand import Hand
from qwen2vl_agent.envs.tasks.messages_oracle import APP, chat_deleted, delete_chat, send, sent_as_wanted, to_thread
from qwen2vl_agent.envs.tasks.task import Decision, Params, Screen, Task, Template
from qwen2vl_agent.envs.virtual_phone.content import Conversation
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.words import Words

MAX_SHOWN_LETTERS = 24
"""The longest message that a row of the list surely shows whole."""


def _draw_new(rng: Random, state: PhoneState, words: Words) -> Params | None:
    """A person with whom there is no thread yet."""
    known = {thread.name for thread in state.conversations}
    names = [person.name for person in state.contacts if person.name not in known]
    return {"name": rng.choice(names), "text": words.message(rng)} if names else None


def _draw_known(rng: Random, state: PhoneState, words: Words) -> Params:
    return {"name": rng.choice(state.conversations).name, "text": words.message(rng)}


def _draw_reply(rng: Random, state: PhoneState, words: Words) -> Params | None:
    """A thread that can be told by its last message alone."""
    last = [thread.messages[-1].text for thread in state.conversations]
    told = [
        thread
        for thread in state.conversations
        if last.count(thread.messages[-1].text) == 1 and not thread.messages[-1].mine and _short(thread)
    ]
    if not told:
        return None
    thread = rng.choice(told)
    return {"name": thread.name, "said": thread.messages[-1].text, "text": words.message(rng)}


def _short(thread: Conversation) -> bool:
    return len(thread.messages[-1].text) <= MAX_SHOWN_LETTERS


def _draw_thread(rng: Random, state: PhoneState, words: Words) -> Params:
    return {"name": rng.choice(state.conversations).name}


def _draw_question(rng: Random, state: PhoneState, words: Words) -> Params | None:
    theirs = [thread for thread in state.conversations if not thread.messages[-1].mine]
    if not theirs:
        return None
    thread = rng.choice(theirs)
    return {"name": thread.name, "answer": thread.messages[-1].text}


def _thread_in_front(task: Task, state: PhoneState, answer: str | None) -> bool:
    return state.foreground == APP and state.page.name == "thread" and state.page.arg == task.params["name"]


def _open(task: Task, screen: Screen) -> Decision:
    hand = Hand(screen)
    return to_thread(hand, task.params["name"]) or hand.done()


def _answered(task: Task, state: PhoneState, answer: str | None) -> bool:
    return says(answer, task.params["answer"])


def _read(task: Task, screen: Screen) -> Decision:
    """The last message stands at the end of the thread."""
    hand, name = Hand(screen), task.params["name"]
    way = to_thread(hand, name)
    if way:
        return way
    texts = [
        message.text for thread in screen.state.conversations if thread.name == name for message in thread.messages
    ]
    bubbles = [f"messages:bubble.{index}" for index in range(len(texts))]
    return hand.scroll_towards(bubbles[-1], bubbles, "The last message") or hand.answer(
        task.params["answer"], task.params["name"]
    )


TEMPLATES = (
    Template(
        id="messages.open",
        goals=(
            'Open the chat with {name}.',
            'Show me the messages from "{name}".',
            'Go to my conversation with {name}.',
            'I want to see what {name} wrote; open the chat.',
            'Open the thread "{name}" in Messages.',
        ),
        draw=_draw_thread, solved=_thread_in_front, decide=_open, steps=4, targets=("name",),
    ),
    Template(
        id="messages.send",
        goals=(
            'Send "{text}" to {name}.',
            'Write {name} the message "{text}".',
            'Text {name}: "{text}".',
            'Message "{name}" with the words "{text}".',
            'Please let {name} know: "{text}".',
        ),
        draw=_draw_new, solved=sent_as_wanted, decide=send, steps=8, targets=("name", "text"),
    ),
    Template(
        id="messages.write_in_chat",
        goals=(
            'In the chat with {name}, write "{text}".',
            'Continue my chat with {name}: send "{text}".',
            'Open the conversation with "{name}" and send "{text}".',
            'Answer {name} in Messages with "{text}".',
            'Go to the chat "{name}" and say "{text}".',
        ),
        draw=_draw_known, solved=sent_as_wanted, decide=send, steps=7, targets=("name", "text"),
    ),
    Template(
        id="messages.reply",
        goals=(
            'Somebody wrote "{said}"; reply with "{text}".',
            'Reply "{text}" to the message "{said}".',
            'Answer whoever sent "{said}" with "{text}".',
            'Find the chat ending with "{said}" and send "{text}".',
            'To the message "{said}", please write back "{text}".',
        ),
        draw=_draw_reply, solved=sent_as_wanted, decide=send, steps=7, targets=("said", "text"),
    ),
    Template(
        id="messages.delete",
        goals=(
            'Delete the chat with {name}.',
            'Remove my conversation with "{name}".',
            'Get rid of the messages from {name}.',
            'Erase the chat "{name}" in Messages.',
            'I no longer need the chat with {name}; delete it.',
        ),
        draw=_draw_thread, solved=chat_deleted, decide=delete_chat, steps=6, targets=("name",),
    ),
    Template(
        id="messages.read",
        goals=(
            'What did {name} write last?',
            'Read me the last message from "{name}".',
            'Tell me the latest message of {name}.',
            'What is the last message in the chat with {name}?',
            'Look up what "{name}" said last in Messages.',
        ),
        draw=_draw_question, solved=_answered, decide=_read, steps=4, targets=("name",),
    ),
)  # fmt: skip
