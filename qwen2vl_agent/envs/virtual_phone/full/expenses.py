"""The Expenses app: what was spent; entries are added by a form and deleted after a question."""

from qwen2vl_agent.envs.virtual_phone.full.content import Expense
from qwen2vl_agent.envs.virtual_phone.full.entries import EntryApp
from qwen2vl_agent.envs.virtual_phone.full.parts import opener
from qwen2vl_agent.envs.virtual_phone.full.random_content import CATEGORIES
from qwen2vl_agent.envs.virtual_phone.rows import Row
from qwen2vl_agent.envs.virtual_phone.widgets import Line

APP = "expenses"
ICONS = {"Food": "restaurant", "Travel": "airplanemode_active", "Home": "hotel", "Fun": "videogame_asset"}

MOST_DIGITS = 9
"""Of an amount; Python itself reads no number of thousands of digits."""


def _row(item: Expense) -> Row:
    icon, tap = ICONS[item.category], opener("item", item.title)
    name = f"{APP}:row.{item.title}"
    return Row(name, item.title, item.category, tap, icon=icon, icon_hue=110.0, trailing=f"${item.amount}")


def _lines(item: Expense) -> list[Line]:
    return [
        Line(f"{APP}:amount", f"${item.amount}", size=34, height=64),
        Line(f"{APP}:category", item.category, colour="secondary_text"),
    ]


def _made(filled: dict[str, str]) -> Expense | None:
    amount = filled["amount"]
    digits = amount.isascii() and amount.isdigit() and len(amount) <= MOST_DIGITS
    return Expense(filled["title"], int(amount), filled["category"]) if digits else None


build = EntryApp(
    app=APP,
    noun="expense",
    none="Nothing spent",
    entries=lambda state: state.extra.expenses,
    row=_row,
    lines=_lines,
    fields=(("title", "What for", False), ("amount", "Amount", True)),
    options=("category", CATEGORIES),
    made=_made,
).build
