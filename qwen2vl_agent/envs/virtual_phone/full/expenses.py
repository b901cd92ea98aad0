"""The Expenses app: what was spent, with its sum; entries are added by a form and deleted after a question."""

from qwen2vl_agent.envs.virtual_phone import navigation
from qwen2vl_agent.envs.virtual_phone.controls import Button, Buttons, Fab
from qwen2vl_agent.envs.virtual_phone.fields import text_field
from qwen2vl_agent.envs.virtual_phone.full.content import Expense
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
from qwen2vl_agent.envs.virtual_phone.full.random_content import CATEGORIES
from qwen2vl_agent.envs.virtual_phone.rows import Row
from qwen2vl_agent.envs.virtual_phone.scene import Scene
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.widgets import Line, Widget

APP = "expenses"
ICONS = {"Food": "restaurant", "Travel": "airplanemode_active", "Home": "hotel", "Fun": "videogame_asset"}


def build(state: PhoneState) -> Scene:
    """The page of the app in front."""
    if state.page.name == "new":
        return _form(state)
    if state.page.name == "item":
        return _expense(state)
    rows = [
        Row(
            f"{APP}:row.{item.title}", item.title, item.category, opener("item", item.title),
            icon=ICONS[item.category], icon_hue=110.0, trailing=f"${item.amount}",
        )
        for item in state.extra.expenses
    ]  # fmt: skip
    scene = page_scene(APP, first_page(state, APP, "Expenses"), listed(state, APP, rows, "Nothing spent"))
    scene.fab = Fab(f"{APP}:add", "add", "Add expense", opener("new", focus="title"), state.look.fab_left)
    return scene


def _expense(state: PhoneState) -> Scene:
    item = next((item for item in state.extra.expenses if item.title == state.page.arg), None)
    bar = inner_page(state, APP, "Expense")
    if item is None:
        return page_scene(APP, bar, [Line(f"{APP}:gone", "Expense is gone")])
    body: list[Widget] = [
        Line(f"{APP}:item", item.title, size=28, weight="medium", height=64),
        Line(f"{APP}:amount", f"${item.amount}", size=34, height=64),
        Line(f"{APP}:category", item.category, colour="secondary_text"),
        Buttons((Button(f"{APP}:delete", "Delete", dialog_opener("delete"), "danger"),)),
    ]
    asked = delete_question(state, APP, "expense", item.title, _delete)
    return page_scene(APP, bar, body, overlay=asked)


def _form(state: PhoneState) -> Scene:
    body: list[Widget] = [
        text_field(state, APP, "title", "What for"),
        text_field(state, APP, "amount", "Amount", numeric=True),
        *listed(state, APP, choices(state, APP, "category", CATEGORIES), ""),
        Buttons((Button(f"{APP}:save", "Save", _save),)),
    ]
    return page_scene(APP, inner_page(state, APP, "New expense"), body)


def _save(state: PhoneState) -> None:
    fields = state.page.fields
    title, amount, category = (fields.get(name, "").strip() for name in ("title", "amount", "category"))
    if not title or not category or not (amount.isascii() and amount.isdigit()):
        state.toast = "Fill in all fields"
        return
    if any(item.title == title for item in state.extra.expenses):
        state.toast = "Is there already"
        return
    state.extra.expenses.insert(0, Expense(title, int(amount), category))
    navigation.close_page(state)
    state.toast = "Expense saved"


def _delete(state: PhoneState) -> None:
    state.extra.expenses = [item for item in state.extra.expenses if item.title != state.page.arg]
    navigation.close_page(state)
    state.toast = "Expense deleted"
