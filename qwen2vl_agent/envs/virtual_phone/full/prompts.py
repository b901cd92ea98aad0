"""What comes between a user and a page: prompts for a permission, slow loading, and errors."""

from qwen2vl_agent.envs.virtual_phone import navigation
from qwen2vl_agent.envs.virtual_phone.app_list import APP_BY_ID
from qwen2vl_agent.envs.virtual_phone.controls import Button, Buttons
from qwen2vl_agent.envs.virtual_phone.scene import Dialog, Scene
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.widgets import AppBar, Gap, Handler, Line

LOADING_S = 3.0
"""How long a page takes to load, by the phone's own clock."""


def permission(state: PhoneState, app: str, wish: str) -> Dialog | None:
    """The prompt of an app that was not yet told whether it may do something; None once it was."""
    if app in state.extra.permissions:
        return None

    def tell(allowed: bool) -> Handler:
        return lambda state: state.extra.permissions.__setitem__(app, allowed)

    buttons = (
        Button(f"{app}:deny", "Deny", tell(False), style="plain"),
        Button(f"{app}:allow", "Allow", tell(True)),
    )
    return Dialog(f"{app}:permission", "Permission", f"Allow {APP_BY_ID[app].label} to {wish}?", buttons)


def denied(app: str, wish: str) -> Scene:
    """What an app shows that was told not to do what it is for."""

    def ask_again(state: PhoneState) -> None:
        del state.extra.permissions[app]

    return Scene(
        header=[AppBar(app, APP_BY_ID[app].label)],
        body=[
            Gap(120),
            Line(f"{app}:denied", f"May not {wish}"),
            Buttons((Button(f"{app}:ask", "Ask again", ask_again),)),
        ],
    )


def is_online(state: PhoneState) -> bool:
    """Whether the phone reaches the internet."""
    on = state.settings.get
    return not on("network.airplane_mode") and bool(on("wifi.enabled") or on("mobile.enabled"))


def start_loading(state: PhoneState, key: str) -> None:
    """Let a page be there only after a while."""
    state.extra.loading[key] = state.now_s + LOADING_S


def is_loading(state: PhoneState, key: str) -> bool:
    """Whether a page is still on its way."""
    return state.now_s < state.extra.loading.get(key, 0.0)


def loading_scene(app: str, title: str) -> Scene:
    """A page that is still on its way."""
    return Scene(
        header=[AppBar(app, title, navigation.close_page)],
        body=[Gap(160), Line(f"{app}:loading", "Loading…", size=24, colour="secondary_text")],
    )


def offline_scene(app: str, title: str, retry: Handler) -> Scene:
    """What a page shows that cannot be reached."""
    return Scene(
        header=[AppBar(app, title, navigation.close_page)],
        body=[
            Gap(100),
            Line(f"{app}:offline", "No connection", size=26, weight="medium"),
            Line(f"{app}:offline.hint", "Turn on Wi-Fi or mobile data", size=18, colour="secondary_text"),
            Buttons((Button(f"{app}:retry", "Try again", retry),)),
        ],
    )


def question(app: str, title: str, text: str, confirm: str, on_confirm: Handler) -> Dialog:
    """A dialog before something is lost."""
    buttons = (
        Button(f"{app}:cancel", "Cancel", navigation.close_dialog, style="plain"),
        Button(f"{app}:confirm", confirm, on_confirm, style="danger"),
    )
    return Dialog(f"{app}:dialog", title, text, buttons)


def delete_question(state: PhoneState, app: str, what: str, name: str, on_confirm: Handler) -> Dialog | None:
    """That dialog where the page asks whether to delete what is called `name`."""
    asks = state.page.dialog == "delete"
    return question(app, f"Delete {what}?", name, "Delete", on_confirm) if asks else None
