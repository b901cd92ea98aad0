"""Tasks in the address book."""

from random import Random

from qwen2vl_agent.envs.tasks.answers import says
from qwen2vl_agent.envs.tasks.contacts_oracle import APP, contacts_as_wanted, set_contacts, to_person
from qwen2vl_agent.envs.tasks.hand import Hand
from qwen2vl_agent.envs.tasks.task import Decision, Params, Screen, Task, Template
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.words import Words


def _draw_new(rng: Random, state: PhoneState, words: Words) -> Params | None:
    name, phone = words.full_name(rng), words.phone_number(rng)
    if any(person.name == name for person in state.contacts):
        return None
    return {"contacts": {name: [phone, False]}, "name": name, "phone": phone}


def _draw_favourite(rng: Random, state: PhoneState, words: Words) -> Params:
    person = rng.choice([person for person in state.contacts if not person.favorite])
    return {"contacts": {person.name: [person.phone, True]}, "name": person.name}


def _draw_delete(rng: Random, state: PhoneState, words: Words) -> Params:
    name = rng.choice(state.contacts).name
    return {"contacts": {name: None}, "name": name}


def _draw_edit(rng: Random, state: PhoneState, words: Words) -> Params:
    person, phone = rng.choice(state.contacts), words.phone_number(rng)
    return {"contacts": {person.name: [phone, person.favorite]}, "name": person.name, "phone": phone}


def _draw_person(rng: Random, state: PhoneState, words: Words) -> Params:
    return {"name": rng.choice(state.contacts).name}


def _draw_number(rng: Random, state: PhoneState, words: Words) -> Params:
    person = rng.choice(state.contacts)
    return {"name": person.name, "answer": person.phone}


def person_in_front(task: Task, state: PhoneState, answer: str | None) -> bool:
    """Whether the page of the person is in front."""
    return state.foreground == APP and state.page.name == "person" and state.page.arg == task.params["name"]


def open_person(task: Task, screen: Screen) -> Decision:
    """Go to the person's page."""
    hand = Hand(screen)
    return to_person(hand, task.params["name"]) or hand.done()


def _number_answered(task: Task, state: PhoneState, answer: str | None) -> bool:
    return says(answer, task.params["answer"])


def _read_number(task: Task, screen: Screen) -> Decision:
    hand = Hand(screen)
    return to_person(hand, task.params["name"]) or hand.answer(task.params["answer"], task.params["name"])


TEMPLATES = (
    Template(
        id="contacts.open",
        goals=(
            'Open the contact "{name}".',
            'Show me {name} in the contacts.',
            'Find "{name}" in my contacts and open it.',
            'Look up {name} in the address book.',
            'I want to see the contact of {name}.',
        ),
        draw=_draw_person, solved=person_in_front, decide=open_person, steps=5, targets=("name",),
    ),
    Template(
        id="contacts.add",
        goals=(
            'Add {name} with the number {phone} to the contacts.',
            'Save a new contact: {name}, {phone}.',
            'Create the contact "{name}" with phone {phone}.',
            'Put {name} into my contacts, number {phone}.',
            'New contact, please: "{name}", number {phone}.',
        ),
        draw=_draw_new, solved=contacts_as_wanted, decide=set_contacts, steps=7, targets=("name",),
    ),
    Template(
        id="contacts.favourite",
        goals=(
            'Make {name} a favorite contact.',
            'Add "{name}" to my favorites in Contacts.',
            'Star the contact "{name}".',
            'Mark {name} as a favorite in the address book.',
            'I want {name} among my favorite contacts.',
        ),
        draw=_draw_favourite, solved=contacts_as_wanted, decide=set_contacts, steps=5, targets=("name",),
    ),
    Template(
        id="contacts.delete",
        goals=(
            'Delete the contact "{name}".',
            'Remove {name} from my contacts.',
            'Take "{name}" out of the address book.',
            'I no longer need the contact {name}; delete it.',
            'Please erase {name} from Contacts.',
        ),
        draw=_draw_delete, solved=contacts_as_wanted, decide=set_contacts, steps=8, targets=("name",),
    ),
    Template(
        id="contacts.edit_phone",
        goals=(
            'Change the number of {name} to {phone}.',
            '{name} has a new number: {phone}. Update the contact.',
            'Edit the contact "{name}": the phone is {phone}.',
            'Set the phone of "{name}" to {phone} in Contacts.',
            'Update {name} in my contacts with {phone}.',
        ),
        draw=_draw_edit, solved=contacts_as_wanted, decide=set_contacts, steps=9, targets=("name",),
    ),
    Template(
        id="contacts.read_number",
        goals=(
            'What is the phone number of {name}?',
            'Tell me the number of "{name}".',
            'Look up the phone number of {name}.',
            'Which number has {name} in my contacts?',
            'I need the number of the contact "{name}".',
        ),
        draw=_draw_number, solved=_number_answered, decide=_read_number, steps=6, targets=("name",),
    ),
)  # fmt: skip
