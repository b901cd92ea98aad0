"""The Contacts app: list with search, a person's page, and the form to add or edit one."""

from qwen2vl_agent.envs.virtual_phone import navigation
from qwen2vl_agent.envs.virtual_phone.content import Contact, Conversation
from qwen2vl_agent.envs.virtual_phone.controls import Button, Buttons, Fab
from qwen2vl_agent.envs.virtual_phone.fields import search_field, text_field
from qwen2vl_agent.envs.virtual_phone.rows import Row, grouped
from qwen2vl_agent.envs.virtual_phone.scene import Dialog, Menu, Scene
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.widgets import Action, AppBar, Gap, Handler, Hero, Line, Widget


def build(state: PhoneState) -> Scene:
    """The contacts page in front."""
    if state.page.name == "person":
        return _person(state, state.page.arg)
    if state.page.name == "edit":
        return _form(state)
    return _list(state)


def find(state: PhoneState, name: str) -> Contact | None:
    """The contact of that name."""
    return next((contact for contact in state.contacts if contact.name == name), None)


def matching(state: PhoneState, query: str) -> list[Contact]:
    """The contacts whose name or number holds a text, by name."""
    query = query.strip().lower()
    found = [person for person in state.contacts if query in person.name.lower() or query in person.phone]
    return sorted(found, key=lambda person: person.name)


def _list(state: PhoneState) -> Scene:
    rows = [
        Row(
            f"contacts:row.{person.name}", person.name, on_tap=_opener(person.name), avatar=person.name,
            action=_star(person, "contacts:star." + person.name),
        )
        for person in matching(state, state.page.fields.get("search", ""))
    ]  # fmt: skip
    return Scene(
        header=[AppBar("contacts", "Contacts", centred=state.look.centred_title),
                search_field(state, "contacts", "Search contacts")],
        body=grouped(rows, cards=state.look.cards) or [Line("contacts:none", "No contacts found", height=90)],
        list_id="contacts:list",
        fab=Fab("contacts:add", "add", "Add contact", _open_form(""), state.look.fab_left),
    )  # fmt: skip


def _person(state: PhoneState, name: str) -> Scene:
    person = find(state, name)
    if person is None:
        bar = AppBar("contacts", "Contact", navigation.close_page)
        return Scene(header=[bar], body=[Line("contacts:gone", "Contact is gone")])
    actions = (
        _star(person, "contacts:favorite"),
        Action("contacts:edit", "edit", "Edit", _open_form(name)),
        Action("contacts:menu", "more_vert", "More", lambda state: navigation.open_dialog(state, "menu")),
    )
    rows = [
        Row("contacts:phone", person.phone, detail="Mobile", on_tap=_call, icon="call"),
        Row("contacts:message", "Send message", on_tap=_message, icon="message"),
    ]
    body: list[Widget] = [Hero("contacts:name", name), *grouped(rows, cards=state.look.cards)]
    return Scene(
        header=[AppBar("contacts", "", navigation.close_page, actions)],
        body=body,
        list_id="contacts:person.list",
        overlay=_person_overlay(state, name),
        on_menu=lambda state: navigation.open_dialog(state, "menu"),
    )


def _person_overlay(state: PhoneState, name: str) -> Dialog | Menu | None:
    if state.page.dialog == "menu":
        ask: Handler = lambda state: navigation.open_dialog(state, "delete")  # noqa: E731
        entries = (
            ("contacts:menu.edit", "Edit", _open_form(name)),
            ("contacts:menu.delete", "Delete", ask),
        )
        return Menu("contacts:menu", entries)
    if state.page.dialog == "delete":
        buttons = (
            Button("contacts:cancel", "Cancel", navigation.close_dialog, style="plain"),
            Button("contacts:delete", "Delete", _delete, style="danger"),
        )
        return Dialog("contacts:dialog", "Delete contact?", name, buttons)
    return None


def _form(state: PhoneState) -> Scene:
    title = "Edit contact" if state.page.arg else "New contact"
    body: list[Widget] = [
        Gap(6),
        text_field(state, "contacts", "name", "Name"),
        text_field(state, "contacts", "phone", "Phone", numeric=True),
        Buttons((Button("contacts:save", "Save", _save),)),
    ]
    return Scene(
        header=[AppBar("contacts", title, navigation.close_page, centred=state.look.centred_title)],
        body=body,
        list_id="contacts:form.list",
    )


def _save(state: PhoneState) -> None:
    page = state.page
    name, phone = page.fields.get("name", "").strip(), page.fields.get("phone", "").strip()
    taken = find(state, name)
    person = find(state, page.arg) if page.arg else None
    if not name:
        state.toast = "Enter a name"
        return
    if taken is not None and taken is not person:
        state.toast = "Name is taken"
        return
    if person is None:
        state.contacts.append(Contact(name, phone))
    else:
        _rename_conversations(state, person.name, name)
        person.name, person.phone = name, phone
    navigation.close_page(state)
    if page.arg:
        state.page.arg = name
    state.toast = "Contact saved"


def _rename_conversations(state: PhoneState, old: str, new: str) -> None:
    for conversation in state.conversations:
        if conversation.name == old:
            conversation.name = new


def _delete(state: PhoneState) -> None:
    name = state.page.arg
    state.contacts = [person for person in state.contacts if person.name != name]
    navigation.close_page(state)
    state.toast = "Contact deleted"


def _star(person: Contact, id: str) -> Action:
    name = person.name

    def on_tap(state: PhoneState) -> None:
        found = find(state, name)
        assert found is not None
        found.favorite = not found.favorite

    if person.favorite:
        return Action(id, "star", "Remove favorite", on_tap, accent=True)
    return Action(id, "star_border", "Add favorite", on_tap)


def _opener(name: str) -> Handler:
    return lambda state: navigation.open_page(state, "person", name)


def _open_form(name: str) -> Handler:
    def on_tap(state: PhoneState) -> None:
        person = find(state, name) if name else None
        fields = {"name": person.name, "phone": person.phone} if person else {}
        navigation.open_page(state, "edit", name, focus="" if person else "name", fields=fields)

    return on_tap


def _call(state: PhoneState) -> None:
    state.toast = f"Calling {state.page.arg}"


def _message(state: PhoneState) -> None:
    """Open the conversation with this person in Messages."""
    name = state.page.arg
    navigation.launch(state, "messages")
    state.task("messages").pages = [navigation.first_page("messages")]
    if all(conversation.name != name for conversation in state.conversations):
        state.conversations.insert(0, Conversation(name))
    navigation.open_page(state, "thread", name)
