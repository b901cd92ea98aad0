"""Tasks in the notes."""

from random import Random

from qwen2vl_agent.envs.tasks.answers import says
from qwen2vl_agent.envs.tasks.hand import Hand
from qwen2vl_agent.envs.tasks.notes_oracle import APP, notes_as_wanted, set_notes, to_note
from qwen2vl_agent.envs.tasks.task import Decision, Params, Screen, Task, Template
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.words import Words


def new_title(rng: Random, state: PhoneState, words: Words) -> str | None:
    """A title that no note has yet; None where chance picked one that is taken."""
    title = words.note_titles(rng, 1)[0]
    return None if any(note.title == title for note in state.notes) else title


def _draw_new(rng: Random, state: PhoneState, words: Words) -> Params | None:
    title, body = new_title(rng, state, words), words.message(rng)
    return title and {"notes": {title: [body, False]}, "title": title, "body": body}  # type: ignore[return-value]


def _draw_delete(rng: Random, state: PhoneState, words: Words) -> Params:
    title = rng.choice(state.notes).title
    return {"notes": {title: None}, "title": title}


def _draw_pin(rng: Random, state: PhoneState, words: Words) -> Params:
    note = rng.choice([note for note in state.notes if not note.pinned])
    return {"notes": {note.title: [note.body, True]}, "title": note.title}


def _draw_append(rng: Random, state: PhoneState, words: Words) -> Params:
    note, thing = rng.choice(state.notes), rng.choice(words.things)
    return {"notes": {note.title: [f"{note.body}, {thing}", note.pinned]}, "title": note.title, "thing": thing}


def _draw_note(rng: Random, state: PhoneState, words: Words) -> Params:
    return {"title": rng.choice(state.notes).title}


def _draw_question(rng: Random, state: PhoneState, words: Words) -> Params:
    note = rng.choice(state.notes)
    return {"title": note.title, "answer": note.body}


def note_in_front(task: Task, state: PhoneState, answer: str | None) -> bool:
    """Whether the page of the note is in front."""
    return state.foreground == APP and state.page.name == "note" and state.page.arg == task.params["title"]


def open_note(task: Task, screen: Screen) -> Decision:
    """Go to the note's page."""
    hand = Hand(screen)
    return to_note(hand, task.params["title"]) or hand.done()


def _body_answered(task: Task, state: PhoneState, answer: str | None) -> bool:
    return says(answer, task.params["answer"])


def _read(task: Task, screen: Screen) -> Decision:
    hand = Hand(screen)
    return to_note(hand, task.params["title"]) or hand.answer(task.params["answer"], task.params["title"])


TEMPLATES = (
    Template(
        id="notes.open",
        goals=(
            'Open the note "{title}".',
            'Find the note "{title}" and open it.',
            'Show me my note "{title}".',
            'I want to read the note called "{title}".',
            'Go to Notes and open "{title}".',
        ),
        draw=_draw_note, solved=note_in_front, decide=open_note, steps=4, targets=("title",),
    ),
    Template(
        id="notes.add",
        goals=(
            'Write a note "{title}" with the text "{body}".',
            'Add a note titled "{title}" that says "{body}".',
            'Create the note "{title}": "{body}".',
            'New note, please: title "{title}", text "{body}".',
            'Save "{body}" in a new note called "{title}".',
        ),
        draw=_draw_new, solved=notes_as_wanted, decide=set_notes, steps=7, targets=("title",),
    ),
    Template(
        id="notes.append",
        goals=(
            'Add ", {thing}" at the end of the note "{title}".',
            'Edit the note "{title}": write ", {thing}" after its text.',
            'Put ", {thing}" behind the text of the note "{title}".',
            'In the note "{title}", append ", {thing}" to the text.',
            'The text of note "{title}" should go on with ", {thing}".',
        ),
        draw=_draw_append, solved=notes_as_wanted, decide=set_notes, steps=8, targets=("title",),
    ),
    Template(
        id="notes.delete",
        goals=(
            'Delete the note "{title}".',
            'Remove the note called "{title}".',
            'Get rid of my note "{title}".',
            'I no longer need the note "{title}"; delete it.',
            'Please erase "{title}" from Notes.',
        ),
        draw=_draw_delete, solved=notes_as_wanted, decide=set_notes, steps=6, targets=("title",),
    ),
    Template(
        id="notes.pin",
        goals=(
            'Pin the note "{title}".',
            'Keep "{title}" at the top of Notes: pin it.',
            'Pin my note called "{title}".',
            'Mark the note "{title}" with a pin.',
            'I want the note "{title}" pinned.',
        ),
        draw=_draw_pin, solved=notes_as_wanted, decide=set_notes, steps=4, targets=("title",),
    ),
    Template(
        id="notes.read",
        goals=(
            'What does the note "{title}" say?',
            'Read me the text of the note "{title}".',
            'Tell me what is in my note "{title}".',
            'Open the note "{title}" and answer its text.',
            'What did I write in "{title}" in Notes?',
        ),
        draw=_draw_question, solved=_body_answered, decide=_read, steps=4, targets=("title",),
    ),
)  # fmt: skip
