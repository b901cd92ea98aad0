"""Pages with fields to fill."""

import re

from qwen2vl_agent.envs.miniwob.oracles.registry import found, quoted, solves
from qwen2vl_agent.envs.miniwob.view import Node, View
from qwen2vl_agent.envs.tasks.task import Decision


@solves("enter-text", "enter-text-dynamic")
def enter_text(view: View) -> Decision:
    return view.steps(view.fill(view.one("#tt"), quoted(view.goal), "the text field"), view.click(view.one("#subbtn")))


@solves("enter-text-2")
def enter_text_2(view: View) -> Decision:
    text = quoted(view.goal)
    text = text.upper() if "upper case" in view.goal else text.lower()
    return view.steps(view.fill(view.one("#tt"), text, "the text field"), view.click(view.one("#subbtn")))


@solves("enter-password")
def enter_password(view: View) -> Decision:
    word = quoted(view.goal)
    first, second = view.one("#password"), view.one("#verify")
    return view.steps(view.fill(first, word), view.fill(second, word), view.click(view.one("#subbtn")))


@solves("login-user", "login-user-popup")
def login_user(view: View) -> Decision:
    popup = view.all("#popup-cancel")
    if popup:
        return view.click(popup[0])
    user, password = view.one("#username"), view.one("#password")
    return view.steps(
        view.fill(user, quoted(view.goal, 0)),
        view.fill(password, quoted(view.goal, 1)),
        view.click(view.one("#subbtn")),
    )


@solves("enter-date")
def enter_date(view: View) -> Decision:
    month, day, year = found(r"(\d\d/\d\d/\d{4})", view.goal).split("/")
    return _segments(view, f"{year}-{month}-{day}", f"{month}{day}{year}")


@solves("enter-time")
def enter_time(view: View) -> Decision:
    hour, minute, half = re.findall(r"(\d+):(\d+)\W*([AP])M", view.goal)[0]
    wanted = f"{int(hour) % 12 + (12 if half == 'P' else 0):02d}:{minute}"
    return _segments(view, wanted, f"{int(hour):02d}{minute}{half}")


def _segments(view: View, value: str, keys: str) -> Decision:
    """A field of a date or a time: its first part is clicked, then all digits are typed."""
    field = view.one("#tt")
    if field.value == value:
        return view.click(view.one("#subbtn"))
    if field.focused:
        return view.type(keys)
    return view.click_at((field.box[0] + 9, field.middle[1]), "the field")


@solves("find-word")
def find_word(view: View) -> Decision:
    number = int(found(r"the (\d+)\w\w word", view.goal))
    words = view.one("#area p").text.split()
    word = re.sub(r"[^a-zA-Z]", "", words[number - 1])
    return view.steps(view.fill(view.one("#answer-input"), word, "the text field"), view.click(view.one("#subbtn")))


@solves("guess-number")
def guess_number(view: View) -> Decision:
    """One up or one down from the last guess: only the last answer stands on the page."""
    guess = 5
    for selector, step in (("#lower", -1), ("#higher", 1)):
        told = view.all(selector)
        if told:
            guess = int(found(r"than (\d+)", told[0].text)) + step
    return view.steps(view.fill(view.one("#tt"), str(guess), "the field"), view.click(view.one("#subbtn")))


@solves("multi-layouts", "multi-orderings")
def movie_search(view: View) -> Decision:
    genre, name, year = re.findall(r"for (.*) movies directed by (.*) from year (\d+)", view.goal)[0]
    wanted = {"genre": genre, "director": name, "year": year, "released": year}
    script = """() => [...document.querySelectorAll('#area input')].map(
        field => field.closest('p, .row, tr, .field, .ui-entry').textContent.trim().toLowerCase())"""
    for field, label in zip(view.all("#area input"), view.ask(script), strict=True):
        text = next(text for word, text in wanted.items() if word in label)
        if (step := view.fill(field, text, label.strip(":"))) is not None:
            return step
    return view.click(view.one("#area button, #area .final, #area .ui-submit"))


@solves("copy-paste", "copy-paste-2")
def copy_paste(view: View) -> Decision:
    places = {"1st": "#text-1", "2nd": "#text-2", "3rd": "#text-3"}
    source = view.one(next((css for word, css in places.items() if word in view.goal), "#to-copy"))
    field = view.one("#answer-input")
    if field.value == _one_line(source):
        return view.click(view.one("#subbtn"))
    keys = [sent.get("keys") for sent in view.history]
    if "ctrl+c" in keys:
        return view.keys("ctrl+v") if field.focused else view.click(field, "the field")
    if not source.focused:
        return view.click(source, "the text area")
    return view.keys("ctrl+c") if keys and keys[-1] == "ctrl+a" else view.keys("ctrl+a")


def _one_line(node: Node) -> str:
    return (node.value or "").replace("\n", "")


@solves("choose-list")
def choose_list(view: View) -> Decision:
    """The list's own pop-up is no part of the page, so it is never opened: the list has the focus, and is typed in."""
    wanted = found(r"Select (.*) from the list", view.goal)
    box = view.one("#options")
    if box.value == wanted:
        return view.click(view.one("#area button"))
    return view.type(wanted) if box.focused else view.keys("tab", "Give the list the focus.")


@solves("form-sequence-2")
def form_sequence_2(view: View) -> Decision:
    radio, number, place = re.findall(r'the (\d)\w\w radio .* "(-?\d+)" into the (\d)\w\w', view.goal)[0]
    button = view.one(f"#area input[type=radio][value='{radio}']")
    if not button.checked:
        return view.click(button, f"radio button {radio}")
    return view.steps(view.fill(view.one(f"#input-{place}"), number), view.click(view.one("#subbtn")))


@solves("form-sequence-3")
def form_sequence_3(view: View) -> Decision:
    height, name = found(r"Choose (.*) from the dropdown", view.goal), quoted(view.goal)
    if view.every("#dropdown")[0].value == height:
        return view.click(view.saying("#buttons button", name))
    shown = [node for node in view.all(".selectric-items li") if node.text == height]
    return view.click(shown[0]) if shown else view.click(view.one(".selectric .button, .selectric"), "the list")
