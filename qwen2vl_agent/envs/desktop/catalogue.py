"""The bundled tasks of the desktop, on applications from Debian."""

from functools import partial
from random import Random

from qwen2vl_agent.envs.desktop.template import Desk, Params, Step, Template
from qwen2vl_agent.envs.desktop.words import words
from qwen2vl_agent.schema.actions import Action, Answer, Click, Hotkey, TypeText
from qwen2vl_agent.schema.geometry import Point
from qwen2vl_agent.schema.trajectory import Split

XTERM = ("xterm", "-u8", "-fa", "DejaVu Sans Mono", "-fs", "12", "-geometry", "70x18", "-T", "Terminal")
TERMINAL, CALCULATOR, FOLDER = "Terminal", "Calculator", "letters"


def _press(keys: str, thought: str) -> Step:
    return thought, lambda desk: Hotkey(keys=keys)


def _type(text: str, thought: str, clear_first: bool = False) -> Step:
    return thought, lambda desk: TypeText(text=text, clear_first=clear_first)


def _click(title: str, thought: str, across: float = 0.5, down: float = 0.5) -> Step:
    return thought, lambda desk: desk.click(title, across, down)


# Terminal ------------------------------------------------------------------------------------------------------------


def _open_terminal(desk: Desk, params: Params) -> None:
    if "lines" in params:
        text = "".join(f"{word}\n" for word in params["lines"])
        (desk.home / f"{params['file']}.txt").write_text(text)
    desk.open(*XTERM, "-e", "sh", title=TERMINAL)


def _command(text: str, thought: str) -> list[Step]:
    return [
        _click(TERMINAL, "The terminal gets the keyboard by a click."),
        _type(text, thought),
        _press("enter", "The enter key runs the command."),
    ]


def _folder_name(rng: Random, split: Split) -> Params:
    return {"folder": "-".join(words(rng, split, 2))}


def _file_and_text(rng: Random, split: Split) -> Params:
    file, *text = words(rng, split, 4)
    return {"file": file, "text": " ".join(text)}


def _file_and_lines(rng: Random, split: Split) -> Params:
    file, *lines = words(rng, split, 5)
    return {"file": file, "lines": [rng.choice(lines) for _ in range(rng.randint(11, 99))]}


# Editor --------------------------------------------------------------------------------------------------------------


def _open_editor(desk: Desk, params: Params) -> None:
    path = desk.home / f"{params['file']}.txt"
    path.write_text(params.get("before", ""))
    desk.open("dbus-run-session", "--", "mousepad", "--disable-server", str(path), title=path.name)


def _before_and_text(rng: Random, split: Split) -> Params:
    file, *text = words(rng, split, 6)
    return {"file": file, "before": "\n".join(text[:3]) + "\n", "text": " ".join(text[3:])}


def _saved(params: Params) -> list[Step]:
    return [_press("ctrl+s", "Ctrl+S saves the file.")]


# Calculator ----------------------------------------------------------------------------------------------------------


def _factors(rng: Random, split: Split) -> Params:
    return {"a": rng.randint(12, 99), "b": rng.randint(12, 99)}


def _open_calculator(desk: Desk, params: Params) -> None:
    desk.open("xcalc", "-title", CALCULATOR, "-geometry", "300x400+80+60", title=CALCULATOR)


# Files ---------------------------------------------------------------------------------------------------------------


def _two_names(rng: Random, split: Split) -> Params:
    old, new, *others = words(rng, split, 5)
    return {"old": old, "new": new, "others": others}


def _open_folder(desk: Desk, params: Params) -> None:
    folder = desk.home / FOLDER
    folder.mkdir()
    for name in (params.get("old"), *params.get("others", ())):
        if name:
            (folder / f"{name}.txt").write_text(f"This is {name}.\n")
    desk.open("dbus-run-session", "--", "pcmanfm", "--no-desktop", str(folder), title=FOLDER)


def _names(desk: Desk) -> set[str]:
    return {path.name for path in (desk.home / FOLDER).iterdir()}


# Windows -------------------------------------------------------------------------------------------------------------

CORNERS = ((60, 60), (420, 60), (60, 380), (420, 380))


def _titles(rng: Random, split: Split) -> Params:
    titles = words(rng, split, 3)
    return {"titles": titles, "title": rng.choice(titles), "places": rng.sample(CORNERS, 3)}


def _open_clocks(desk: Desk, params: Params) -> None:
    for title, (x, y) in zip(params["titles"], params["places"], strict=True):
        desk.open("xclock", "-title", title, "-geometry", f"220x220+{x}+{y}", title=title)


def _only_it_closed(desk: Desk, params: Params, answer: str | None) -> bool:
    ended = {title: app.poll() is not None for title, app in zip(params["titles"], desk.apps, strict=True)}
    return all(gone == (title == params["title"]) for title, gone in ended.items())


def _cross(desk: Desk, title: str) -> Action:
    """A click on the cross of openbox's title bar, 10 pixels above a window's right corner and 10 from it."""
    _, top, right, _ = desk.bounds(title) or (0, 100, 100, 200)
    return Click(point=Point(right - 10, top - 10, desk.device.frame))


TEMPLATES = {
    template.id: template
    for template in (
        Template(
            id="terminal.make_folder",
            goal='Make a folder with the name "{folder}" in the terminal.',
            draw=_folder_name,
            prepare=_open_terminal,
            solved=lambda desk, params, answer: (desk.home / params["folder"]).is_dir(),
            plan=lambda params: _command(f"mkdir {params['folder']}", "mkdir makes a folder."),
            programs=("xterm",),
        ),
        Template(
            id="terminal.write_file",
            goal='Write the words "{text}" into the file {file}.txt in the terminal.',
            draw=_file_and_text,
            prepare=_open_terminal,
            solved=lambda desk, params, answer: desk.read(f"{params['file']}.txt").strip() == params["text"],
            plan=lambda params: _command(
                f"echo {params['text']} > {params['file']}.txt", "echo writes words, and > puts them into a file."
            ),
            programs=("xterm",),
        ),
        Template(
            id="terminal.count_lines",
            goal="How many lines has the file {file}.txt? Look in the terminal, and answer with the number.",
            draw=_file_and_lines,
            prepare=_open_terminal,
            solved=lambda desk, params, answer: (answer or "").strip() == str(len(params["lines"])),
            plan=lambda params: [
                *_command(f"wc -l {params['file']}.txt", "wc counts lines."),
                ("The number is there.", lambda desk: Answer(text=str(len(params["lines"])))),
            ],
            programs=("xterm",),
        ),
        Template(
            id="editor.write_note",
            goal='Write "{text}" into the open file, and save it.',
            draw=_file_and_text,
            prepare=_open_editor,
            solved=lambda desk, params, answer: desk.read(f"{params['file']}.txt").strip() == params["text"],
            plan=lambda params: [
                _click(f"{params['file']}.txt", "The text field gets the keyboard by a click.", down=0.6),
                _type(params["text"], "The words go into the field."),
                *_saved(params),
            ],
            programs=("mousepad", "dbus-run-session"),
        ),
        Template(
            id="editor.append_line",
            goal='Append the line "{text}" to the open file, and save it.',
            draw=_before_and_text,
            prepare=_open_editor,
            solved=lambda desk, params, answer: (
                desk.read(f"{params['file']}.txt").rstrip("\n") == params["before"] + params["text"]
            ),
            plan=lambda params: [
                _click(f"{params['file']}.txt", "The text field gets the keyboard by a click.", down=0.6),
                _press("ctrl+end", "The cursor has to be at the end."),
                _type(params["text"], "The file ends with an empty line, which takes the new words."),
                *_saved(params),
            ],
            programs=("mousepad", "dbus-run-session"),
        ),
        Template(
            id="calculator.product",
            goal="How much is {a} times {b}? Use the calculator, and answer with the number.",
            draw=_factors,
            prepare=_open_calculator,
            solved=lambda desk, params, answer: (answer or "").strip() == str(params["a"] * params["b"]),
            plan=lambda params: [
                _click(CALCULATOR, "A click on the display gives the calculator the keyboard.", down=0.1),
                _type(f"{params['a']}*{params['b']}=", "The keys of the calculator can be typed."),
                ("The product is shown.", lambda desk: Answer(text=str(params["a"] * params["b"]))),
            ],
            programs=("xcalc",),
        ),
        Template(
            id="files.make_folder",
            goal='Make a folder with the name "{folder}" inside the open folder.',
            draw=_folder_name,
            prepare=_open_folder,
            solved=lambda desk, params, answer: (desk.home / FOLDER / params["folder"]).is_dir(),
            plan=lambda params: [
                _click(FOLDER, "An empty place gives the file manager the keyboard.", 0.75, 0.75),
                _press("ctrl+shift+n", "Ctrl+Shift+N makes a folder."),
                _type(params["folder"], "Its name goes into the field.", clear_first=True),
                _press("enter", "The enter key presses OK."),
            ],
            programs=("pcmanfm", "dbus-run-session"),
        ),
        Template(
            id="files.rename",
            goal="Rename the file {old}.txt to {new}.txt.",
            draw=_two_names,
            prepare=_open_folder,
            solved=lambda desk, params, answer: (
                _names(desk) == {f"{name}.txt" for name in (params["new"], *params["others"])}
            ),
            plan=lambda params: [
                _click(FOLDER, "An empty place gives the file manager the keyboard.", 0.75, 0.75),
                _type(params["old"], "Typing a name selects the file."),
                _press("escape", "The search has done its work."),
                _press("f2", "F2 renames what is selected."),
                _type(f"{params['new']}.txt", "The new name goes into the field.", clear_first=True),
                _press("enter", "The enter key presses OK."),
            ],
            programs=("pcmanfm", "dbus-run-session"),
        ),
        Template(
            id="windows.close",
            goal='Close the window "{title}", and no other.',
            draw=_titles,
            prepare=_open_clocks,
            solved=_only_it_closed,
            plan=lambda params: [
                ("The cross in its title bar closes a window.", partial(_cross, title=params["title"]))
            ],
            programs=("xclock",),
        ),
    )
}
