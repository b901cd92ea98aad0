"""The To-do app: entries to tick off, and to drag into another order by their handles."""

from collections.abc import Iterator
from dataclasses import dataclass

from qwen2vl_agent.envs.virtual_phone import navigation
from qwen2vl_agent.envs.virtual_phone.controls import Button, Buttons, Fab
from qwen2vl_agent.envs.virtual_phone.draw import Rect
from qwen2vl_agent.envs.virtual_phone.fields import text_field
from qwen2vl_agent.envs.virtual_phone.full.content import Todo
from qwen2vl_agent.envs.virtual_phone.full.parts import dialog_opener, first_page, inner_page, opener, page_scene
from qwen2vl_agent.envs.virtual_phone.full.prompts import question
from qwen2vl_agent.envs.virtual_phone.rows import Row
from qwen2vl_agent.envs.virtual_phone.scene import Scene
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.widgets import (
    ROW_HEIGHT,
    Action,
    DragHandler,
    Gap,
    Line,
    Placed,
    Target,
    Widget,
)

APP = "todo"


def build(state: PhoneState) -> Scene:
    """The list, or the form of a new entry."""
    if state.page.name == "new":
        body: list[Widget] = [
            Gap(6),
            text_field(state, APP, "title", "Title"),
            Buttons((Button(f"{APP}:save", "Save", _save),)),
        ]
        return page_scene(APP, inner_page(state, APP, "New entry"), body)
    rows: list[Widget] = [TodoRow(_row(todo, state), todo.title) for todo in state.extra.todos]
    clear = Action(f"{APP}:clear", "delete", "Delete done", dialog_opener("clear"))
    asked = None
    if state.page.dialog == "clear":
        asked = question(APP, "Delete done?", "All entries that are ticked off.", "Delete", _clear)
    shown: list[Widget] = rows or [Line(f"{APP}:none", "Nothing to do", height=90)]
    scene = page_scene(APP, first_page(state, APP, "To-do", (clear,)), shown, overlay=asked)
    scene.fab = Fab(f"{APP}:add", "add", "Add entry", opener("new", focus="title"), state.look.fab_left)
    return scene


def _row(todo: Todo, state: PhoneState) -> Row:
    title = todo.title

    def tick(state: PhoneState) -> None:
        found = next(other for other in state.extra.todos if other.title == title)
        found.done = not found.done

    card = "only" if state.look.cards else ""
    return Row(
        f"{APP}:row.{title}", title, on_tap=tick, icon="drag_handle", control="checkbox", checked=todo.done, card=card
    )


@dataclass(frozen=True, slots=True)
class TodoRow:
    """A row with a handle to drag it by."""

    row: Row
    title: str

    @property
    def height(self) -> float:
        return self.row.height

    def place(self, left: float, top: float, width: float) -> Iterator[Placed]:
        yield from self.row.place(left, top, width)
        handle = Rect(left + 12, top, left + 72, top + self.height)
        target = Target(f"{APP}:handle.{self.title}", "icon", "Move", on_drag=_mover(self.title, self.height))
        yield Placed(handle, None, target)


def _mover(title: str, row_height: float = ROW_HEIGHT) -> DragHandler:
    def move(state: PhoneState, dx: float, dy: float) -> None:
        todos = state.extra.todos
        place = next(index for index, todo in enumerate(todos) if todo.title == title)
        todos.insert(min(max(place + round(dy / row_height), 0), len(todos) - 1), todos.pop(place))

    return move


def _save(state: PhoneState) -> None:
    title = state.page.fields.get("title", "").strip()
    if not title or any(todo.title == title for todo in state.extra.todos):
        state.toast = "Is there already" if title else "Enter a title"
        return
    state.extra.todos.append(Todo(title))
    navigation.close_page(state)
    state.toast = "Entry added"


def _clear(state: PhoneState) -> None:
    state.extra.todos = [todo for todo in state.extra.todos if not todo.done]
    navigation.close_dialog(state)
