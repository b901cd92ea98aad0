"""The Notes app: list with search and pins, a note to read, and the form to write one."""

from qwen2vl_agent.envs.virtual_phone import navigation
from qwen2vl_agent.envs.virtual_phone.content import Note
from qwen2vl_agent.envs.virtual_phone.controls import Button, Buttons, Fab
from qwen2vl_agent.envs.virtual_phone.fields import search_field, text_field
from qwen2vl_agent.envs.virtual_phone.rows import Row, grouped
from qwen2vl_agent.envs.virtual_phone.scene import Dialog, Scene
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.widgets import Action, AppBar, Gap, Handler, Line, Paragraph, Widget


def build(state: PhoneState) -> Scene:
    """The notes page in front."""
    if state.page.name == "note":
        return _note(state, state.page.arg)
    if state.page.name == "edit":
        return _form(state)
    return _list(state)


def find(state: PhoneState, title: str) -> Note | None:
    """The note of that title."""
    return next((note for note in state.notes if note.title == title), None)


def _list(state: PhoneState) -> Scene:
    query = state.page.fields.get("search", "").strip().lower()
    found = [note for note in state.notes if query in note.title.lower() or query in note.body.lower()]
    found.sort(key=lambda note: not note.pinned)
    rows = [
        Row(
            f"notes:row.{note.title}", note.title, detail=note.body.split("\n")[0], on_tap=_opener(note.title),
            action=_pin(note, f"notes:pin.{note.title}"),
        )
        for note in found
    ]  # fmt: skip
    return Scene(
        header=[
            AppBar("notes", "Notes", centred=state.look.centred_title),
            search_field(state, "notes", "Search notes"),
        ],
        body=grouped(rows, cards=state.look.cards) or [Line("notes:none", "No notes found", height=90)],
        list_id="notes:list",
        fab=Fab("notes:add", "add", "Add note", _open_form(""), state.look.fab_left),
    )


def _note(state: PhoneState, title: str) -> Scene:
    note = find(state, title)
    if note is None:
        bar = AppBar("notes", "Note", navigation.close_page)
        return Scene(header=[bar], body=[Line("notes:gone", "Note is gone")])
    actions = (
        _pin(note, "notes:pin"),
        Action("notes:edit", "edit", "Edit", _open_form(title)),
        Action("notes:delete", "delete", "Delete", lambda state: navigation.open_dialog(state, "delete")),
    )
    body: list[Widget] = [
        Line("notes:title", title, size=28, weight="medium", align="left", height=64),
        Paragraph("notes:body", note.body),
    ]
    return Scene(
        header=[AppBar("notes", "", navigation.close_page, actions)],
        body=body,
        list_id="notes:note.list",
        overlay=_delete_dialog(title) if state.page.dialog == "delete" else None,
    )


def _delete_dialog(title: str) -> Dialog:
    buttons = (
        Button("notes:cancel", "Cancel", navigation.close_dialog, style="plain"),
        Button("notes:confirm", "Delete", _delete, style="danger"),
    )
    return Dialog("notes:dialog", "Delete note?", title, buttons)


def _form(state: PhoneState) -> Scene:
    heading = "Edit note" if state.page.arg else "New note"
    body: list[Widget] = [
        Gap(6),
        text_field(state, "notes", "title", "Title"),
        text_field(state, "notes", "body", "Text", lines=3),
        Buttons((Button("notes:save", "Save", _save),)),
    ]
    return Scene(
        header=[AppBar("notes", heading, navigation.close_page, centred=state.look.centred_title)],
        body=body,
        list_id="notes:form.list",
        multiline=("body",),
    )


def _save(state: PhoneState) -> None:
    page = state.page
    title, body = page.fields.get("title", "").strip(), page.fields.get("body", "").strip()
    note = find(state, page.arg) if page.arg else None
    taken = find(state, title)
    if not title:
        state.toast = "Enter a title"
        return
    if taken is not None and taken is not note:
        state.toast = "Title is taken"
        return
    if note is None:
        state.notes.insert(0, Note(title, body))
    else:
        note.title, note.body = title, body
    navigation.close_page(state)
    if page.arg:
        state.page.arg = title
    state.toast = "Note saved"


def _delete(state: PhoneState) -> None:
    title = state.page.arg
    state.notes = [note for note in state.notes if note.title != title]
    navigation.close_page(state)
    state.toast = "Note deleted"


def _pin(note: Note, id: str) -> Action:
    title = note.title

    def on_tap(state: PhoneState) -> None:
        found = find(state, title)
        assert found is not None
        found.pinned = not found.pinned

    return Action(id, "push_pin", "Unpin" if note.pinned else "Pin", on_tap, accent=note.pinned, disc=True)


def _opener(title: str) -> Handler:
    return lambda state: navigation.open_page(state, "note", title)


def _open_form(title: str) -> Handler:
    def on_tap(state: PhoneState) -> None:
        note = find(state, title) if title else None
        fields = {"title": note.title, "body": note.body} if note else {}
        navigation.open_page(state, "edit", title, focus="" if note else "title", fields=fields)

    return on_tap
