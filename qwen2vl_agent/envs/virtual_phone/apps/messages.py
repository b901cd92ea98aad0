"""The Messages app: conversations, a thread to read and write in, and the choice of whom to write to."""

from collections.abc import Iterator
from dataclasses import dataclass

from qwen2vl_agent.envs.virtual_phone import navigation
from qwen2vl_agent.envs.virtual_phone.apps.contacts import matching
from qwen2vl_agent.envs.virtual_phone.content import Conversation, Message
from qwen2vl_agent.envs.virtual_phone.controls import Button, Fab
from qwen2vl_agent.envs.virtual_phone.draw import Canvas, Rect, wrap
from qwen2vl_agent.envs.virtual_phone.fields import search_field
from qwen2vl_agent.envs.virtual_phone.lettering import text_width
from qwen2vl_agent.envs.virtual_phone.rows import Row, grouped
from qwen2vl_agent.envs.virtual_phone.scene import Dialog, Scene
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.system_ui import clock_text
from qwen2vl_agent.envs.virtual_phone.theme import LARGEST_FONT, Theme
from qwen2vl_agent.envs.virtual_phone.widgets import Action, AppBar, Gap, Handler, Line, Placed, Target, Widget

BUBBLE_TEXT_SIZE = 19.0
BUBBLE_LINE = 26.0
BUBBLE_WIDTH = 250.0


def build(state: PhoneState) -> Scene:
    """The messages page in front."""
    if state.page.name == "thread":
        return _thread(state, state.page.arg)
    if state.page.name == "new":
        return _choose_person(state)
    return _list(state)


def find(state: PhoneState, name: str) -> Conversation | None:
    """The conversation with a person."""
    return next((conversation for conversation in state.conversations if conversation.name == name), None)


def _list(state: PhoneState) -> Scene:
    rows = [
        Row(
            f"messages:row.{conversation.name}", conversation.name,
            detail=conversation.messages[-1].text if conversation.messages else "No messages",
            on_tap=_opener(conversation.name), avatar=conversation.name,
        )
        for conversation in state.conversations
    ]  # fmt: skip
    return Scene(
        header=[AppBar("messages", "Messages", centred=state.look.centred_title)],
        body=grouped(rows, cards=state.look.cards) or [Line("messages:none", "No messages", height=90)],
        list_id="messages:list",
        fab=Fab("messages:new", "edit", "New message", _open_new, state.look.fab_left),
    )


def _choose_person(state: PhoneState) -> Scene:
    rows = [
        Row(f"messages:to.{person.name}", person.name, on_tap=_starter(person.name), avatar=person.name)
        for person in matching(state, state.page.fields.get("search", ""))
    ]
    return Scene(
        header=[AppBar("messages", "New message", navigation.close_page, centred=state.look.centred_title),
                search_field(state, "messages", "Search contacts")],
        body=grouped(rows, cards=state.look.cards) or [Line("messages:none", "No contacts found", height=90)],
        list_id="messages:new.list",
    )  # fmt: skip


def _thread(state: PhoneState, name: str) -> Scene:
    conversation = find(state, name) or Conversation(name)
    delete = Action("messages:delete", "delete", "Delete", lambda state: navigation.open_dialog(state, "delete"))
    bubbles: list[Widget] = [Bubble(f"messages:bubble.{i}", message) for i, message in enumerate(conversation.messages)]
    return Scene(
        header=[AppBar("messages", name, navigation.close_page, (delete,))],
        body=[Gap(10), *bubbles],
        footer=[Compose(state.page.fields.get("text", ""), state.page.focus == "text")],
        list_id="messages:thread.list",
        from_end=True,
        on_enter=_send,
        overlay=_delete_dialog(name) if state.page.dialog == "delete" else None,
    )


def _delete_dialog(name: str) -> Dialog:
    buttons = (
        Button("messages:cancel", "Cancel", navigation.close_dialog, style="plain"),
        Button("messages:confirm", "Delete", _delete, style="danger"),
    )
    return Dialog("messages:dialog", "Delete chat?", name, buttons)


def _delete(state: PhoneState) -> None:
    name = state.page.arg
    state.conversations = [conversation for conversation in state.conversations if conversation.name != name]
    navigation.close_page(state)
    state.toast = "Chat deleted"


def _send(state: PhoneState) -> None:
    page = state.page
    text = page.fields.get("text", "").strip()
    if not text:
        state.toast = "Write a message first"
        return
    conversation = find(state, page.arg) or Conversation(page.arg)
    conversation.messages.append(Message(text, mine=True, time=clock_text(state)))
    others = [other for other in state.conversations if other is not conversation]
    state.conversations = [conversation, *others]
    page.fields["text"] = ""
    page.scroll.pop("body", None)


def _opener(name: str) -> Handler:
    return lambda state: navigation.open_page(state, "thread", name)


def _open_new(state: PhoneState) -> None:
    navigation.open_page(state, "new")


def _starter(name: str) -> Handler:
    def on_tap(state: PhoneState) -> None:
        navigation.replace_page(state, "thread", name)
        navigation.focus_field(state, "text")

    return on_tap


@dataclass(frozen=True, slots=True)
class Bubble:
    """A message of a thread: the owner's on the right, the other's on the left."""

    id: str
    message: Message

    @property
    def lines(self) -> tuple[str, ...]:
        return wrap(self.message.text, BUBBLE_TEXT_SIZE * LARGEST_FONT, "regular", BUBBLE_WIDTH - 32)

    @property
    def height(self) -> float:
        return BUBBLE_LINE * len(self.lines) + 30

    def place(self, left: float, top: float, width: float) -> Iterator[Placed]:
        lines, mine = self.lines, self.message.mine
        inner = max(text_width(line, BUBBLE_TEXT_SIZE * LARGEST_FONT) for line in lines)
        start = left + width - 16 - inner - 32 if mine else left + 16
        rect = Rect(start, top + 4, start + inner + 32, top + self.height - 4)

        def paint(canvas: Canvas, theme: Theme) -> None:
            canvas.round(rect, 20, theme.primary if mine else theme.surface_high)
            ink = theme.on_primary if mine else theme.text
            for index, line in enumerate(lines):
                y = rect.top + 11 + BUBBLE_LINE * (index + 0.5)
                canvas.text(rect.left + 16, y, line, BUBBLE_TEXT_SIZE, ink)

        yield Placed(rect, paint, Target(self.id, "text", self.message.text))


@dataclass(frozen=True, slots=True)
class Compose:
    """The field to write a message in, and the button that sends it."""

    value: str
    focused: bool
    label: str = "Message"
    height: float = 76.0

    def place(self, left: float, top: float, width: float) -> Iterator[Placed]:
        rect = Rect(left + 12, top + 8, left + width - 76, top + self.height - 8)
        target = Target("messages:text", "field", self.value or self.label, _focus_text, focused=self.focused)
        yield Placed(rect, lambda canvas, theme: self._paint(canvas, theme, rect), target)
        spot = Rect(left + width - 72, top + 8, left + width - 12, top + self.height - 8)

        def paint_send(canvas: Canvas, theme: Theme) -> None:
            canvas.circle(*spot.centre, 29, theme.primary if self.value else theme.container)
            ink = theme.on_primary if self.value else theme.on_container
            canvas.icon(spot.centre[0] + 1, spot.centre[1], "send", 28, ink)

        yield Placed(spot, paint_send, Target("messages:send", "button", "Send", _send))

    def _paint(self, canvas: Canvas, theme: Theme, rect: Rect) -> None:
        canvas.round(rect, 30, theme.surface_high)
        size = 20 * canvas.font_scale
        line = wrap(self.value, size, "regular", rect.width - 44)[-1] if self.value else ""
        if not self.value:
            canvas.text(rect.left + 26, rect.centre[1], self.label, 20, theme.secondary_text)
        canvas.text(rect.left + 22, rect.centre[1], line, 20, theme.text)
        if self.focused:
            x = rect.left + 22 + text_width(line, size)
            canvas.fill(Rect(x, rect.centre[1] - 14, x + 2.4, rect.centre[1] + 14), theme.primary)


def _focus_text(state: PhoneState) -> None:
    navigation.focus_field(state, "text")
