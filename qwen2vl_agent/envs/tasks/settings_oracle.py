"""The way through Settings: to a page, and to the wanted value of every setting."""

from qwen2vl_agent.envs.tasks.hand import Hand, comparing
from qwen2vl_agent.envs.tasks.task import Decision, Screen, Task
from qwen2vl_agent.envs.virtual_phone.settings_catalogue import ITEMS, Choice, Level, path_to
from qwen2vl_agent.envs.virtual_phone.state import PhoneState, SettingValue

APP = "settings"


def as_wanted(task: Task, state: PhoneState, answer: str | None) -> bool:
    """Whether every switch, choice and level is as the task wants it."""
    return state.settings == _wanted(task)


def set_wanted(task: Task, screen: Screen) -> Decision:
    """Set whatever is not as wanted, what others spoilt included."""
    hand = Hand(screen)
    wrong = wrong_settings(task, screen.state)
    if not wrong:
        return hand.done()
    return hand.in_app(APP) or _set(hand, _nearest(hand, wrong), _wanted(task))


def wrong_settings(task: Task, state: PhoneState) -> list[str]:
    """The settings that are not as the task wants them: those that it asks for, then what others spoilt."""
    wanted = _wanted(task)
    asked = list(task.params["settings"])
    rest = [item for item in wanted if item not in asked]
    return [item for item in (*asked, *rest) if state.settings[item] != wanted[item]]


def go_to(hand: Hand, group: str) -> Decision | None:
    """The way to a page of settings; None when it is in front."""
    if hand.page.dialog:
        return hand.back("Wrong dialog: go back.")
    here = here_in_settings(hand)
    if here == group:
        return None
    path = [above.id for above in path_to(group)] + [group]
    if here not in path:
        return hand.back()
    following = path[path.index(here) + 1]
    return hand.reach(row_id(following), row_order(hand, here), ITEMS[following].title)


def here_in_settings(hand: Hand) -> str:
    """The id of the group or choice whose page is in front, or `search`."""
    page = hand.page
    return "root" if page.name == "main" else page.arg or page.name


def row_id(item: str) -> str:
    """Resource id of the row of a setting or group."""
    return f"settings:{item}"


def row_order(hand: Hand, group: str) -> list[str]:
    """Resource ids of a page's rows from top to bottom."""
    return [row_id(item) for item in hand.state.settings_order[group]]


def _wanted(task: Task) -> dict[str, SettingValue]:
    return {**task.start.settings, **task.params["settings"]}


def _nearest(hand: Hand, wrong: list[str]) -> str:
    """The setting to mend first: one on the page in front, or the choice whose options are shown."""
    here = here_in_settings(hand)
    return next((item for item in wrong if here in (item, path_to(item)[-1].id)), wrong[0])


def _set(hand: Hand, item_id: str, wanted: dict[str, SettingValue]) -> Decision:
    item = ITEMS[item_id]
    if isinstance(item, Choice) and here_in_settings(hand) == item_id:
        value = str(wanted[item_id])
        return hand.reach(option_id(item_id, value), [option_id(item_id, option) for option in item.options], value)
    group = path_to(item_id)[-1].id
    return go_to(hand, group) or _touch(hand, item_id, group, wanted[item_id])


def _touch(hand: Hand, item_id: str, group: str, value: SettingValue) -> Decision:
    item = ITEMS[item_id]
    if isinstance(item, Level):
        now, wanted = int(hand.state.settings[item_id]), int(value)
        order = row_order(hand, group)
        scroll = hand.scroll_towards(row_id(item_id), order, item.title)
        then = hand.press(f"{row_id(item_id)}.{'more' if wanted > now else 'less'}")
        return scroll or comparing(then, hand.say(item.title), now, wanted)
    return hand.reach(row_id(item_id), row_order(hand, group), item.title)


def option_id(choice: str, option: str) -> str:
    """Resource id of an option of a choice."""
    return f"settings:{choice}.{option}"
