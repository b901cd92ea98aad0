"""The ways between pages, and the typing on them: functions that change a state."""

from qwen2vl_agent.envs.virtual_phone.state import Page, PhoneState, Task

FIRST_PAGE = {"clock": "alarms"}
"""Name of the page that an app starts with, where it is not `main`."""


def first_page(app: str) -> Page:
    """The page that an app starts with."""
    return Page(FIRST_PAGE.get(app, "main"))


def launch(state: PhoneState, app: str) -> None:
    """Bring an app to the front, on the page where it was left."""
    task = next((task for task in state.tasks if task.app == app), None) or Task(app, [first_page(app)])
    state.tasks = [other for other in state.tasks if other.app != app]
    state.tasks.append(task)
    leave(state)
    state.foreground = app


def open_page(
    state: PhoneState, name: str, arg: str = "", *, focus: str = "", fields: dict[str, str] | None = None
) -> None:
    """Open a page of the app in front over the current one; `focus` names the field to type into at once."""
    hide_keyboard(state)
    state.page.dialog = ""
    state.task(state.foreground).pages.append(Page(name, arg, fields=dict(fields or {})))
    if focus:
        focus_field(state, focus)


def replace_page(state: PhoneState, name: str, arg: str = "") -> None:
    """Put a page in the place of the current one."""
    hide_keyboard(state)
    state.task(state.foreground).pages[-1] = Page(name, arg)


def close_page(state: PhoneState) -> None:
    """Go back to the page below; from an app's first page to the launcher, where the app starts anew next time."""
    hide_keyboard(state)
    if state.foreground in ("launcher", "recents"):
        return
    task = state.task(state.foreground)
    if len(task.pages) > 1:
        task.pages.pop()
    else:
        go_home(state)


def go_home(state: PhoneState) -> None:
    """Show the home screen."""
    leave(state)
    state.foreground = "launcher"
    state.launcher = Page("home")


def show_recents(state: PhoneState) -> None:
    """Show the apps in use."""
    leave(state)
    state.foreground = "recents"
    state.recents = Page("recents")


def leave(state: PhoneState) -> None:
    """Put away what lies over a page: keyboard and quick settings."""
    hide_keyboard(state)
    state.shade_open = False


def back(state: PhoneState) -> None:
    """What the back button does: put away the uppermost thing."""
    if state.shade_open:
        state.shade_open = False
    elif state.keyboard.visible:
        hide_keyboard(state)
    elif state.page.dialog:
        state.page.dialog = ""
    elif state.foreground in ("launcher", "recents"):
        go_home(state)
    else:
        close_page(state)


def open_dialog(state: PhoneState, name: str) -> None:
    """Open a dialog or menu of the current page."""
    hide_keyboard(state)
    state.page.dialog = name


def close_dialog(state: PhoneState) -> None:
    """Close the open dialog or menu."""
    state.page.dialog = ""


def focus_field(state: PhoneState, field: str, *, numeric: bool = False) -> None:
    """Make a field take what is typed, and show the keyboard."""
    state.page.focus = field
    state.page.fields.setdefault(field, "")
    state.keyboard.visible = True
    state.keyboard.layer = "symbols" if numeric else "lower"


def hide_keyboard(state: PhoneState) -> None:
    """Put the keyboard away; the field keeps the focus."""
    state.keyboard.visible = False
    state.keyboard.layer = "lower"


def insert_text(state: PhoneState, text: str) -> bool:
    """Type at the end of the focused field; False where there is none."""
    page = state.page
    if not page.focus or page.dialog or state.shade_open:
        return False
    page.fields[page.focus] = page.fields.get(page.focus, "") + text
    page.scroll.pop("body", None)
    return True


def delete_letter(state: PhoneState) -> bool:
    """Take the last letter from the focused field; False where no field is focused."""
    page = state.page
    if not page.focus or page.dialog or state.shade_open:
        return False
    page.fields[page.focus] = page.fields.get(page.focus, "")[:-1]
    return True
