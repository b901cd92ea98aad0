"""Fields bound to the drafts of the page in front."""

from qwen2vl_agent.envs.virtual_phone import navigation
from qwen2vl_agent.envs.virtual_phone.controls import Field
from qwen2vl_agent.envs.virtual_phone.state import PhoneState


def text_field(state: PhoneState, app: str, name: str, label: str, *, lines: int = 1, numeric: bool = False) -> Field:
    """A field of a form; its resource id is `app:name`."""
    return Field(
        f"{app}:{name}",
        label,
        state.page.fields.get(name, ""),
        lambda state: navigation.focus_field(state, name, numeric=numeric),
        focused=state.page.focus == name,
        lines=lines,
    )


def search_field(state: PhoneState, app: str, label: str) -> Field:
    """A field whose draft `search` filters the list below it; its resource id is `app:search`."""
    return Field(
        f"{app}:search",
        label,
        state.page.fields.get("search", ""),
        lambda state: navigation.focus_field(state, "search"),
        focused=state.page.focus == "search",
        pill=True,
        icon="search",
    )
