"""What the apps of the full edition are put together from."""

from collections.abc import Sequence

from qwen2vl_agent.envs.virtual_phone import navigation
from qwen2vl_agent.envs.virtual_phone.rows import Row, grouped
from qwen2vl_agent.envs.virtual_phone.scene import Dialog, Scene
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.widgets import Action, AppBar, Handler, Line, Widget


def opener(page: str, arg: str = "", *, focus: str = "", fields: dict[str, str] | None = None) -> Handler:
    """A handler that opens a page."""
    return lambda state: navigation.open_page(state, page, arg, focus=focus, fields=fields)


def dialog_opener(name: str) -> Handler:
    """A handler that opens a dialog of the page."""
    return lambda state: navigation.open_dialog(state, name)


def setter(field: str, value: str) -> Handler:
    """A handler that puts a value into one of the page's drafts."""
    return lambda state: state.page.fields.__setitem__(field, value)


def first_page(state: PhoneState, app: str, title: str, actions: tuple[Action, ...] = ()) -> AppBar:
    """The bar of an app's first page."""
    return AppBar(app, title, None, actions, centred=state.look.centred_title)


def inner_page(state: PhoneState, app: str, title: str, actions: tuple[Action, ...] = ()) -> AppBar:
    """The bar of a page that was opened from another."""
    return AppBar(app, title, navigation.close_page, actions)


def page_scene(
    app: str, bar: AppBar, body: Sequence[Widget], *, overlay: Dialog | None = None, list_name: str = "page"
) -> Scene:
    """A page of widgets below a bar."""
    return Scene(header=[bar], body=list(body), list_id=f"{app}:{list_name}", overlay=overlay)


def listed(state: PhoneState, app: str, rows: Sequence[Row], none: str) -> list[Widget]:
    """Rows as the phone's look has them, or a line that says that there are none."""
    return grouped(list(rows), cards=state.look.cards) or [Line(f"{app}:none", none, height=90)]


def choices(state: PhoneState, app: str, field: str, options: Sequence[str]) -> list[Row]:
    """One radio row for each option of a draft of the page."""
    chosen = state.page.fields.get(field, "")
    return [
        Row(f"{app}:{field}.{option}", option, on_tap=setter(field, option), control="radio", checked=chosen == option)
        for option in options
    ]
