"""Tasks in the files: to open, find, rename, move and delete."""

from random import Random

from qwen2vl_agent.envs.tasks.answers import says
from qwen2vl_agent.envs.tasks.full.way import on_page
from qwen2vl_agent.envs.tasks.hand import Hand
from qwen2vl_agent.envs.tasks.task import Decision, Params, Screen, Task, Template
from qwen2vl_agent.envs.tasks.wanted import with_changes
from qwen2vl_agent.envs.virtual_phone.full.files import APP, TOP
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.words import Words


def _places(state: PhoneState) -> dict[str, str]:
    """The folder of every file."""
    found = dict.fromkeys(state.files, TOP)
    return found | {name: folder for folder, names in state.extra.folders.items() for name in names}


def _draw_filed(rng: Random, state: PhoneState, words: Words) -> Params:
    folder = rng.choice([name for name, files in state.extra.folders.items() if files])
    return {"name": rng.choice(state.extra.folders[folder]), "folder": folder, "answer": folder}


def _draw_open(rng: Random, state: PhoneState, words: Words) -> Params:
    params = _draw_filed(rng, state, words)
    del params["answer"]
    return params


def _draw_rename(rng: Random, state: PhoneState, words: Words) -> Params:
    name = rng.choice(state.files)
    new = f"{rng.choice(words.things)}-{rng.randint(10, 99)}.{name.split('.')[-1]}"
    return {"name": name, "new": new, "files": {name: None, new: TOP}}


def _draw_move(rng: Random, state: PhoneState, words: Words) -> Params:
    name, folder = rng.choice(state.files), rng.choice(list(state.extra.folders))
    return {"name": name, "folder": folder, "files": {name: folder}}


def _draw_delete(rng: Random, state: PhoneState, words: Words) -> Params:
    name = rng.choice(state.files)
    return {"name": name, "files": {name: None}}


def _in_front(task: Task, state: PhoneState, answer: str | None) -> bool:
    page = state.page
    return (state.foreground, page.name, page.arg) == (APP, "item", task.params["name"])


def _told(task: Task, state: PhoneState, answer: str | None) -> bool:
    return says(answer, task.params["answer"])


def _as_wanted(task: Task, state: PhoneState, answer: str | None) -> bool:
    return _places(state) == with_changes(_places(task.start), task.params["files"])


def _open(task: Task, screen: Screen) -> Decision:
    hand, name = Hand(screen), task.params["name"]
    if name not in _places(screen.state):
        return hand.give_up("The file is gone.")
    way = hand.in_app(APP) or _to_row(hand, name)
    return way or (hand.done() if hand.page.arg == name and not hand.page.dialog else hand.back())


def _look_up(task: Task, screen: Screen) -> Decision:
    """Open the folders until the file shows."""
    hand, name, folder = Hand(screen), task.params["name"], task.params["answer"]
    way = on_page(hand, APP, [("main", ""), ("folder", folder)])
    if way:
        return way
    if hand.page.name == "folder":
        return hand.answer(folder, name)
    return _open_folder(hand, folder)


def _put(task: Task, screen: Screen) -> Decision:
    """Rename, move and delete files until they are as wanted."""
    hand, now = Hand(screen), _places(screen.state)
    wanted = with_changes(_places(task.start), task.params["files"])
    missing = [name for name in wanted if name not in now]
    wrong = [name for name in now if name not in wanted] or [name for name in now if wanted[name] != now[name]]
    if not wrong:
        return hand.give_up("A file is gone.") if missing else hand.done()
    way = hand.in_app(APP)
    if way:
        return way
    name, page = wrong[0], hand.page
    if page.arg == name and page.name in ("item", "rename", "move"):
        return _change(hand, name, wanted.get(name), missing)
    return _to_row(hand, name) or hand.back()


def _change(hand: Hand, name: str, folder: str | None, missing: list[str]) -> Decision:
    page = hand.page
    if folder is None and missing:
        if page.name == "rename":
            return hand.form(APP, {"name": ("Name", missing[0])})
        return hand.press(f"{APP}:rename") if page.name == "item" and not page.dialog else hand.back()
    if page.name == "move" and folder is not None:
        return hand.press(f"{APP}:to.{folder}")
    if page.name != "item" or (page.dialog and folder is not None):
        return hand.back()
    if folder is not None:
        return hand.press(f"{APP}:move")
    return hand.press(f"{APP}:confirm" if page.dialog else f"{APP}:delete")


def _to_row(hand: Hand, name: str) -> Decision | None:
    """The touch that brings nearer to a file, from the list or from its folder; None on any other page."""
    folder, page = _places(hand.state)[name], hand.page
    if page.name == "main":
        if folder == TOP:
            return hand.pick(f"{APP}:row.", name, hand.state.files)
        return _open_folder(hand, folder)
    if (page.name, page.arg) == ("folder", folder):
        return hand.pick(f"{APP}:row.", name, hand.state.extra.folders[folder])
    return None


def _open_folder(hand: Hand, folder: str) -> Decision:
    order = [f"{APP}:folder.{name}" for name in hand.state.extra.folders]
    return hand.reach(f"{APP}:folder.{folder}", [*order, *(f"{APP}:row.{name}" for name in hand.state.files)], folder)


TEMPLATES = (
    Template(
        id="files.open_in_folder",
        goals=(
            'Open the file "{name}" in the folder "{folder}".',
            'In Files, go to "{folder}" and open "{name}".',
            'Show me "{name}" from the folder {folder}.',
            'Look in the folder "{folder}" for "{name}" and open it.',
            'The file "{name}" lies in {folder}; open it.',
        ),
        draw=_draw_open, solved=_in_front, decide=_open, steps=4, targets=("name",),
    ),
    Template(
        id="files.find",
        goals=(
            'In which folder is the file "{name}"?',
            'Find "{name}" in Files: which folder is it in?',
            'Tell me the folder that holds "{name}".',
            'Where in Files is "{name}"? Answer with the folder.',
            'Look through the folders in Files for "{name}"; name its folder.',
        ),
        draw=_draw_filed, solved=_told, decide=_look_up, steps=4, targets=("name",),
    ),
    Template(
        id="files.rename",
        goals=(
            'Rename the file "{name}" to "{new}".',
            'In Files, call "{name}" from now on "{new}".',
            'Give the file "{name}" the new name "{new}".',
            'Change the name of "{name}" to "{new}" in Files.',
            'The file "{name}" should be named "{new}".',
        ),
        draw=_draw_rename, solved=_as_wanted, decide=_put, steps=8, targets=("name",),
    ),
    Template(
        id="files.move",
        goals=(
            'Move the file "{name}" to the folder "{folder}".',
            'In Files, put "{name}" into "{folder}".',
            'File "{name}" under {folder}.',
            'Take "{name}" and move it into the folder {folder}.',
            'The file "{name}" belongs in "{folder}"; move it.',
        ),
        draw=_draw_move, solved=_as_wanted, decide=_put, steps=7, targets=("name",),
    ),
    Template(
        id="files.delete",
        goals=(
            'Delete the file "{name}".',
            'Remove "{name}" from Files.',
            'I no longer need the file "{name}"; delete it.',
            'Get rid of the file called "{name}".',
            'Erase "{name}" in the Files app.',
        ),
        draw=_draw_delete, solved=_as_wanted, decide=_put, steps=6, targets=("name",),
    ),
)  # fmt: skip
