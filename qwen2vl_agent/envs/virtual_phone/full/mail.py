"""The Mail app: letters to read and delete; pulled down, the list brings what is new."""

from qwen2vl_agent.envs.virtual_phone import navigation
from qwen2vl_agent.envs.virtual_phone.content import Mail
from qwen2vl_agent.envs.virtual_phone.controls import Button, Buttons
from qwen2vl_agent.envs.virtual_phone.full.parts import (
    dialog_opener,
    first_page,
    inner_page,
    listed,
    opener,
    page_scene,
)
from qwen2vl_agent.envs.virtual_phone.full.prompts import delete_question, is_online
from qwen2vl_agent.envs.virtual_phone.rows import Row
from qwen2vl_agent.envs.virtual_phone.scene import Scene
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.widgets import Hero, Line, Paragraph, Widget

APP = "mail"


def build(state: PhoneState) -> Scene:
    """The list, or one letter."""
    if state.page.name == "item":
        return _letter(state)
    rows = [
        Row(f"{APP}:row.{mail.sender}", mail.sender, mail.subject, opener("item", mail.sender), avatar=mail.sender)
        for mail in state.mails
    ]
    scene = page_scene(APP, first_page(state, APP, "Mail"), listed(state, APP, rows, "No mail"))
    scene.on_swipe_down = _refresh
    return scene


def _letter(state: PhoneState) -> Scene:
    mail = next((mail for mail in state.mails if mail.sender == state.page.arg), None)
    bar = inner_page(state, APP, "")
    if mail is None:
        return page_scene(APP, bar, [Line(f"{APP}:gone", "Mail is gone")])
    body: list[Widget] = [
        Hero(f"{APP}:item", mail.sender),
        Paragraph(f"{APP}:subject", mail.subject),
        Buttons((Button(f"{APP}:delete", "Delete", dialog_opener("delete"), "danger"),)),
    ]
    asked = delete_question(state, APP, "mail", mail.sender, _delete)
    return page_scene(APP, bar, body, overlay=asked)


def _refresh(state: PhoneState) -> None:
    if not is_online(state):
        state.toast = "No connection"
        return
    new = state.extra.waiting_mails
    state.mails = [*(Mail(sender, subject) for sender, subject in new), *state.mails]
    state.extra.waiting_mails = []
    state.toast = f"{len(new)} new" if new else "Nothing new"


def _delete(state: PhoneState) -> None:
    state.mails = [mail for mail in state.mails if mail.sender != state.page.arg]
    navigation.close_page(state)
    state.toast = "Mail deleted"
