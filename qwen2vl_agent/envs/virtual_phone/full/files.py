"""The Files app: folders and files; a file can be renamed, moved and, after a question, deleted."""

from qwen2vl_agent.envs.virtual_phone import navigation
from qwen2vl_agent.envs.virtual_phone.apps.decoys import FILE_ICONS, OTHER_FILE
from qwen2vl_agent.envs.virtual_phone.controls import Button, Buttons
from qwen2vl_agent.envs.virtual_phone.fields import text_field
from qwen2vl_agent.envs.virtual_phone.full.parts import (
    dialog_opener,
    first_page,
    inner_page,
    listed,
    opener,
    page_scene,
)
from qwen2vl_agent.envs.virtual_phone.full.prompts import delete_question
from qwen2vl_agent.envs.virtual_phone.rows import Row
from qwen2vl_agent.envs.virtual_phone.scene import Scene
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.widgets import Gap, Handler, Line, Widget

APP = "files"
TOP = "Files"
"""What the place outside of all folders is called."""


def build(state: PhoneState) -> Scene:
    """The page of the app in front."""
    page = state.page
    if page.name == "folder":
        rows = _file_rows(state.extra.folders.get(page.arg, []))
        return page_scene(APP, inner_page(state, APP, page.arg), listed(state, APP, rows, "Empty folder"))
    if page.name == "item":
        return _file(state, page.arg)
    if page.name == "rename":
        return _rename_form(state)
    if page.name == "move":
        return _folder_choice(state)
    rows = [
        Row(f"{APP}:folder.{name}", name, on_tap=opener("folder", name), icon="folder", icon_hue=70.0)
        for name in state.extra.folders
    ]
    return page_scene(
        APP, first_page(state, APP, TOP), listed(state, APP, [*rows, *_file_rows(state.files)], "No files")
    )


def folder_of(state: PhoneState, name: str) -> str | None:
    """The folder of a file, `Files` for none; None where there is no such file."""
    if name in state.files:
        return TOP
    return next((folder for folder, names in state.extra.folders.items() if name in names), None)


def _file_rows(names: list[str]) -> list[Row]:
    rows = []
    for name in names:
        icon, hue = FILE_ICONS.get(name.split(".")[-1], OTHER_FILE)
        rows.append(Row(f"{APP}:row.{name}", name, on_tap=opener("item", name), icon=icon, icon_hue=hue))
    return rows


def _file(state: PhoneState, name: str) -> Scene:
    folder = folder_of(state, name)
    if folder is None:
        return page_scene(APP, inner_page(state, APP, "File"), [Line(f"{APP}:gone", "File is gone")])
    rename = Button(f"{APP}:rename", "Rename", opener("rename", name, focus="name", fields={"name": name}), "tonal")
    body: list[Widget] = [
        Gap(30),
        Line(f"{APP}:item", name, size=28, weight="medium", height=60),
        Line(f"{APP}:place", f"In {folder}", colour="secondary_text"),
        Gap(20),
        Buttons((rename, Button(f"{APP}:move", "Move", opener("move", name), "tonal"))),
        Buttons((Button(f"{APP}:delete", "Delete", dialog_opener("delete"), "danger"),)),
    ]
    asked = delete_question(state, APP, "file", name, _delete)
    return page_scene(APP, inner_page(state, APP, "File"), body, overlay=asked)


def _rename_form(state: PhoneState) -> Scene:
    body: list[Widget] = [
        Gap(6),
        text_field(state, APP, "name", "Name"),
        Buttons((Button(f"{APP}:save", "Save", _rename),)),
    ]
    return page_scene(APP, inner_page(state, APP, "Rename file"), body)


def _folder_choice(state: PhoneState) -> Scene:
    rows = [
        Row(f"{APP}:to.{folder}", folder, on_tap=_mover(folder), icon="folder", icon_hue=70.0)
        for folder in (TOP, *state.extra.folders)
    ]
    return page_scene(APP, inner_page(state, APP, "Move to"), listed(state, APP, rows, "No folders"))


def _take_out(state: PhoneState, name: str) -> None:
    for names in (state.files, *state.extra.folders.values()):
        if name in names:
            names.remove(name)


def _delete(state: PhoneState) -> None:
    _take_out(state, state.page.arg)
    navigation.close_page(state)
    state.toast = "File deleted"


def _rename(state: PhoneState) -> None:
    old, new = state.page.arg, state.page.fields.get("name", "").strip()
    if not new or (new != old and folder_of(state, new) is not None):
        state.toast = "Name is taken" if new else "Enter a name"
        return
    for names in (state.files, *state.extra.folders.values()):
        if old in names:
            names[names.index(old)] = new
    navigation.close_page(state)
    state.page.arg = new
    state.toast = "File renamed"


def _mover(folder: str) -> Handler:
    def on_tap(state: PhoneState) -> None:
        name = state.page.arg
        _take_out(state, name)
        (state.files if folder == TOP else state.extra.folders[folder]).append(name)
        navigation.close_page(state)
        state.toast = f"Moved to {folder}"

    return on_tap
