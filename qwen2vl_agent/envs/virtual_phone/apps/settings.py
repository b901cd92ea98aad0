"""The Settings app: nested pages of switches, choices, levels and facts."""

from dataclasses import replace

from qwen2vl_agent.envs.virtual_phone import navigation
from qwen2vl_agent.envs.virtual_phone.fields import search_field
from qwen2vl_agent.envs.virtual_phone.locales import translator
from qwen2vl_agent.envs.virtual_phone.rows import Row, Stepper, grouped
from qwen2vl_agent.envs.virtual_phone.scene import Scene
from qwen2vl_agent.envs.virtual_phone.settings_catalogue import (
    ITEMS,
    MAX_LEVEL,
    ROOT,
    Choice,
    Fact,
    Group,
    Item,
    Level,
    Toggle,
    walk,
)
from qwen2vl_agent.envs.virtual_phone.state import PhoneState, SettingValue
from qwen2vl_agent.envs.virtual_phone.widgets import Action, AppBar, Gap, Handler, Line, hue_of


def build(state: PhoneState) -> Scene:
    """The settings page in front: a group, the options of a choice, or the search."""
    page = state.page
    if page.name == "choice":
        return _choice_page(state, ITEMS[page.arg])
    if page.name == "search":
        return _search_page(state)
    group = ITEMS[page.arg] if page.name == "group" else ROOT
    assert isinstance(group, Group)
    return _group_page(state, group)


def set_setting(setting: str, value: SettingValue) -> Handler:
    """A handler that sets a setting."""

    def on_tap(state: PhoneState) -> None:
        state.settings[setting] = value

    return on_tap


def ordered_items(state: PhoneState, group: Group) -> list[Item]:
    """The items of a group in this phone's order."""
    order = state.settings_order.get(group.id, [])
    return sorted(group.items, key=lambda item: order.index(item.id) if item.id in order else len(order))


def _group_page(state: PhoneState, group: Group) -> Scene:
    root = group is ROOT
    actions = (Action("settings:search", "search", "Search", _open_search),) if root else ()
    bar = AppBar("settings", group.title, None if root else navigation.close_page, actions, state.look.centred_title)
    body = grouped(
        [item_widget(state, item, root=root) for item in ordered_items(state, group)], cards=state.look.cards
    )
    return Scene(header=[bar], body=body, list_id=f"settings:{group.id}.list")


def item_widget(state: PhoneState, item: Item, *, root: bool = False) -> Row | Stepper:
    """The line of a list that shows a setting or leads to a group."""
    id = f"settings:{item.id}"
    value = state.settings.get(item.id)
    if isinstance(item, Toggle):
        checked = bool(value)
        return Row(id, item.title, on_tap=set_setting(item.id, not checked), control="switch", checked=checked)
    if isinstance(item, Choice):
        return Row(id, item.title, detail=str(value), on_tap=_opener("choice", item.id))
    if isinstance(item, Level):
        level = int(value or 0)
        less, more = max(level - 1, 0), min(level + 1, MAX_LEVEL)
        return Stepper(id, item.title, level, MAX_LEVEL, set_setting(item.id, less), set_setting(item.id, more))
    if isinstance(item, Fact):
        return Row(id, item.title, trailing=item.value)
    show_icon = state.look.row_icons
    detail = item.summary if root else ""
    if item.id == "wifi":
        detail = state.network_name if state.settings.get("wifi.enabled") else "Off"
    return Row(
        id,
        item.title,
        detail=detail,
        on_tap=_opener("group", item.id),
        icon=item.icon if show_icon else "",
        icon_hue=hue_of(item.id) if state.look.filled_row_icons else None,
    )


def _choice_page(state: PhoneState, choice: Item) -> Scene:
    assert isinstance(choice, Choice)
    rows = [
        Row(
            f"settings:{choice.id}.{option}", option, on_tap=_chooser(choice.id, option), control="radio",
            checked=state.settings.get(choice.id) == option,
        )
        for option in choice.options
    ]  # fmt: skip
    bar = AppBar("settings", choice.title, navigation.close_page, centred=state.look.centred_title)
    return Scene(header=[bar], body=grouped(rows, cards=state.look.cards), list_id=f"settings:{choice.id}.list")


def _search_page(state: PhoneState) -> Scene:
    draft = state.page.fields.get("search", "")
    wanted = draft.strip().lower()
    say = translator(state)
    found = [item for item in walk() if wanted and item is not ROOT and wanted in say(item.title).lower()]
    field = replace(search_field(state, "settings", "Search settings"), id="settings:search_field")
    body = grouped([item_widget(state, item) for item in found], cards=state.look.cards)
    if wanted and not found:
        body = [Line("settings:none", "Nothing found")]
    bar = AppBar("settings", "Search", navigation.close_page, centred=state.look.centred_title)
    return Scene(header=[bar, field, Gap(4)], body=body, list_id="settings:search.list")


def _open_search(state: PhoneState) -> None:
    navigation.open_page(state, "search", focus="search")


def _opener(page: str, item: str) -> Handler:
    return lambda state: navigation.open_page(state, page, item)


def _chooser(setting: str, option: str) -> Handler:
    def on_tap(state: PhoneState) -> None:
        state.settings[setting] = option
        navigation.close_page(state)

    return on_tap
