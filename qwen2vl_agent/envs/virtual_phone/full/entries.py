"""Apps that keep a list of titled entries: the list, the page of one, the form of a new one, and what these do."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from qwen2vl_agent.envs.virtual_phone import navigation
from qwen2vl_agent.envs.virtual_phone.controls import Button, Buttons, Fab
from qwen2vl_agent.envs.virtual_phone.fields import text_field
from qwen2vl_agent.envs.virtual_phone.full.parts import (
    choices,
    dialog_opener,
    first_page,
    inner_page,
    listed,
    opener,
    page_scene,
)
from qwen2vl_agent.envs.virtual_phone.full.prompts import delete_question
from qwen2vl_agent.envs.virtual_phone.rows import Row
from qwen2vl_agent.envs.virtual_phone.scene import Scene
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.widgets import Line, Widget


@dataclass(frozen=True, slots=True)
class EntryApp:
    """What such an app has of its own."""

    app: str
    noun: str
    """Of one entry, in small letters."""
    none: str
    """What an empty list says."""
    entries: Callable[[PhoneState], list[Any]]
    """Where the phone keeps them; each has a `title` that no other has."""
    row: Callable[[Any], Row]
    """An entry in the list."""
    lines: Callable[[Any], list[Line]]
    """What its page says below its title."""
    fields: tuple[tuple[str, str, bool], ...]
    """Of the form: name, label, and whether digits are typed."""
    options: tuple[str, Sequence[str]]
    """Of the form: the name of what is chosen, and from what."""
    made: Callable[[dict[str, str]], Any]
    """An entry of what was filled in; None where that makes no sense."""

    def build(self, state: PhoneState) -> Scene:
        """The page of the app in front."""
        if state.page.name == "new":
            return self._form(state)
        return self._page(state) if state.page.name == "item" else self._list(state)

    def _list(self, state: PhoneState) -> Scene:
        rows = [self.row(entry) for entry in self.entries(state)]
        bar = first_page(state, self.app, self.app.capitalize())
        scene = page_scene(self.app, bar, listed(state, self.app, rows, self.none))
        add = opener("new", focus="title")
        scene.fab = Fab(f"{self.app}:add", "add", f"Add {self.noun}", add, state.look.fab_left)
        return scene

    def _page(self, state: PhoneState) -> Scene:
        entry = next((entry for entry in self.entries(state) if entry.title == state.page.arg), None)
        bar = inner_page(state, self.app, self.noun.capitalize())
        if entry is None:
            return page_scene(self.app, bar, [Line(f"{self.app}:gone", f"{self.noun.capitalize()} is gone")])
        body: list[Widget] = [
            Line(f"{self.app}:item", entry.title, size=28, weight="medium", height=64),
            *self.lines(entry),
            Buttons((Button(f"{self.app}:delete", "Delete", dialog_opener("delete"), "danger"),)),
        ]
        asked = delete_question(state, self.app, self.noun, entry.title, self._delete)
        return page_scene(self.app, bar, body, overlay=asked)

    def _form(self, state: PhoneState) -> Scene:
        name, options = self.options
        body: list[Widget] = [
            *(text_field(state, self.app, field, label, numeric=digits) for field, label, digits in self.fields),
            *listed(state, self.app, choices(state, self.app, name, options), ""),
            Buttons((Button(f"{self.app}:save", "Save", self._save),)),
        ]
        return page_scene(self.app, inner_page(state, self.app, f"New {self.noun}"), body)

    def _save(self, state: PhoneState) -> None:
        names = (*(field for field, _, _ in self.fields), self.options[0])
        filled = {name: state.page.fields.get(name, "").strip() for name in names}
        entry = self.made(filled) if all(filled.values()) else None
        if entry is None:
            state.toast = "Fill in all fields"
        elif any(other.title == entry.title for other in self.entries(state)):
            state.toast = "Is there already"
        else:
            self.entries(state).insert(0, entry)
            navigation.close_page(state)
            state.toast = f"{self.noun.capitalize()} saved"

    def _delete(self, state: PhoneState) -> None:
        entries = self.entries(state)
        entries[:] = [entry for entry in entries if entry.title != state.page.arg]
        navigation.close_page(state)
        state.toast = f"{self.noun.capitalize()} deleted"
