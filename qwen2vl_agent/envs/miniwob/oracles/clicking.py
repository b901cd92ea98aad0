"""Pages that are solved by clicking what the instruction names."""

import re

from qwen2vl_agent.envs.miniwob.oracles.registry import found, quoted, solves
from qwen2vl_agent.envs.miniwob.view import Node, View
from qwen2vl_agent.envs.tasks.task import Decision

SUBMIT = "#subbtn, #submit"


@solves("click-test")
def click_test(view: View) -> Decision:
    return view.click(view.one("#subbtn"))


@solves("click-test-2", "click-test-transfer")
def numbered_button(view: View) -> Decision:
    return view.click(view.saying("#area button", found(r"button (\w+)", view.goal)))


@solves("click-button", "unicode-test")
def click_button(view: View) -> Decision:
    return view.click(view.saying("#area button", quoted(view.goal)))


@solves("click-button-sequence")
def click_button_sequence(view: View) -> Decision:
    pushed = view.ask("() => buttonsPushed.length")
    return view.click(view.one("#subbtn2" if pushed else "#subbtn"))


@solves("click-link")
def click_link(view: View) -> Decision:
    return view.click(view.saying(".alink", quoted(view.goal)))


@solves("click-color")
def click_color(view: View) -> Decision:
    colour = found(r"the (\w+) colored", view.goal)
    return view.click(view.one(f'#area .color[data-color="{colour}"]'), colour)


@solves("click-dialog")
def click_dialog(view: View) -> Decision:
    return view.click(view.one(".ui-dialog button.ui-button"), "x")


@solves("click-dialog-2")
def click_dialog_2(view: View) -> Decision:
    wanted = quoted(view.goal)
    if wanted == "x":
        return view.click(view.one(".ui-dialog-titlebar button"), "x")
    return view.click(view.saying(".ui-dialog-buttonset button", wanted))


@solves("click-tab")
def click_tab(view: View) -> Decision:
    return view.click(view.saying("#area ul a", found(r"(Tab #\d)", view.goal)))


@solves("click-tab-2", "click-tab-2-easy", "click-tab-2-medium", "click-tab-2-hard")
def link_in_a_tab(view: View) -> Decision:
    return _link_in_a_part(view, "div[id^=tabs-]", "#area ul a")


@solves("click-collapsible-2", "click-collapsible-2-nodelay")
def link_in_a_section(view: View) -> Decision:
    return _link_in_a_part(view, ".ui-accordion-content", "h3.ui-accordion-header")


def _link_in_a_part(view: View, part: str, header: str) -> Decision:
    """A link in one of several parts, of which one is open at most."""
    wanted = quoted(view.goal)
    shown = [node for node in view.all(f"{part} .alink") if node.text == wanted]
    if shown:
        return view.click(sorted(shown, key=lambda node: node.spot is None)[0])
    where = """([part, wanted]) => [...document.querySelectorAll(part)].findIndex(
        box => [...box.querySelectorAll('.alink')].some(link => link.textContent.trim() === wanted))"""
    return view.click(view.all(header)[view.ask(where, [part, wanted])])


@solves("click-collapsible", "click-collapsible-nodelay")
def click_collapsible(view: View) -> Decision:
    if view.all(".ui-accordion-content"):
        return view.click(view.one("#subbtn"))
    return view.click(view.one("h3"))


@solves("focus-text")
def focus_text(view: View) -> Decision:
    return view.click(view.one("#tt"), "the text field")


@solves("focus-text-2")
def focus_text_2(view: View) -> Decision:
    number = found(r"(\d)(?:st|nd|rd) ", view.goal)
    return view.click(view.one(f"#tt{number}"), f"text field {number}")


@solves("click-widget")
def click_widget(view: View) -> Decision:
    kind = quoted(view.goal)
    return view.click(view.one(f'.widget [data-type="{kind}"]'), kind)


@solves("click-checkboxes", "click-checkboxes-large", "click-checkboxes-transfer")
def click_checkboxes(view: View) -> Decision:
    named = found(r"Select (.*) and click Submit", view.goal)
    return _tick(view, set() if named == "nothing" else set(named.split(", ")))


@solves("click-checkboxes-soft")
def click_checkboxes_soft(view: View) -> Decision:
    named = found(r"similar to (.*) and click Submit", view.goal).split(", ")
    alike = view.ask("named => SYNONYMS.filter(group => group.some(word => named.includes(word))).flat()", named)
    return _tick(view, set(alike))


def _tick(view: View, wanted: set[str]) -> Decision:
    """Tick the boxes whose label is wanted and no other, then submit."""
    for box, label in zip(view.all("#area label input"), view.all("#area label"), strict=True):
        if box.checked != (label.text in wanted):
            return view.click(box, label.text)
    return view.click(view.one(SUBMIT))


@solves("click-option")
def click_option(view: View) -> Decision:
    wanted = found(r"Select (.*) and click Submit", view.goal)
    for box, label in zip(view.all("#area label input"), view.all("#area label"), strict=True):
        if label.text == wanted and not box.checked:
            return view.click(box, label.text)
    return view.click(view.one(SUBMIT))


@solves("click-shades")
def click_shades(view: View) -> Decision:
    wanted = found(r"shades of (\w+)", view.goal)
    for node in view.all("#area span"):
        if (node.attributes["data-color"] == wanted) != ("selected" in node.classes):
            return view.click(node, wanted)
    return view.click(view.one(SUBMIT))


@solves("click-scroll-list")
def click_scroll_list(view: View) -> Decision:
    wanted = found(r"Select (.*) from the scroll list", view.goal).split(", ")
    options = view.every("#options option")
    box = view.one("#options")
    chosen = [node for node in options if node.selected]
    for node in options:
        if node.text in wanted and not node.selected:
            return _in_list(view, box, node, bool(chosen))
    for node in chosen:
        if node.text not in wanted:
            return _in_list(view, box, node, True)
    return view.click(view.one("#area button"))


def _in_list(view: View, box: Node, node: Node, more: bool) -> Decision:
    """Click an option of a list, scrolling the list first; `more` keeps what is chosen."""
    x, y = node.middle
    if not box.box[1] + 3 < y < box.box[3] - 3:
        down = y > box.middle[1]
        return view.scroll(box.middle, 1 if down else -1, f'"{node.text}" is not here: scroll.')
    return view.click_at((min(x, box.middle[0]), y), node.text, modifiers="ctrl" if more else "")


@solves("click-menu")
def click_menu(view: View) -> Decision:
    """Submenus open under the pointer; clicking an item that has one would count as the choice."""
    names = found(r"Select (.*)", view.goal).split(">")
    return _through_menu(view, names)


ICON = "() => { const icon = document.querySelector('#query span.ui-icon'); return icon && icon.classList[1]; }"


@solves("click-menu-2")
def click_menu_2(view: View) -> Decision:
    if not view.all("#menu"):
        return view.click(view.one("#open-menu"))
    icon = view.ask(ICON)
    named = view.ask("css => document.querySelector(css).parentNode.textContent", f"#menu .{icon}") if icon else None
    wanted = named or re.findall(r'"(.*?)"', view.goal)[-1]
    inner = [node.text for node in view.every("#menu ul li")]
    return _through_menu(view, ["Playback", wanted] if wanted in inner else [wanted])


def _through_menu(view: View, names: list[str]) -> Decision:
    shown = {node.text: node for node in view.all("#menu li > div")}
    for name in reversed(names):
        if name in shown:
            if name == names[-1]:
                return view.click(shown[name])
            return view.move(shown[name].spot or shown[name].middle, f'"{name}" is here: point at it.')
    raise LookupError(f"no menu shows any of {names}")


@solves("find-greatest")
def find_greatest(view: View) -> Decision:
    cards = view.all(".card")
    values = [int(node.text) for node in view.every(".card .card-value")]
    best = cards[values.index(max(values))]
    if "hidden" in best.classes:
        return view.click(best, f"card {values.index(max(values)) + 1}")
    return view.click(view.one("#submit"))


@solves("generate-number")
def generate_number(view: View) -> Decision:
    shown = view.one("#display-number").text
    if shown != "-" and _suits(int(shown), view.goal):
        return view.click(view.one("#submit"))
    return view.click(view.one("#generate"))


def _suits(number: int, goal: str) -> bool:
    if "less than" in goal:
        return number < int(found(r"less than (\d+)", goal))
    if "greater than" in goal:
        return number > int(found(r"greater than (\d+)", goal))
    return number % 2 == (0 if "even" in goal else 1)


@solves("odd-or-even")
def odd_or_even(view: View) -> Decision:
    numbers, odd, even = view.all(".display-number"), view.all("button.odd"), view.all("button.even")
    for number, yes, no in zip(numbers, odd, even, strict=True):
        right = yes if int(number.text) % 2 else no
        if "selected" not in right.classes:
            return view.click(right, f"{right.text} beside {number.text}")
    return view.click(view.one("#submit"))


@solves("number-checkboxes")
def number_checkboxes(view: View) -> Decision:
    digit = int(quoted(view.goal))
    pattern = [on for row in view.ask("digit => PATTERNS[digit]", digit) for on in row]
    for number, (box, on) in enumerate(zip(view.all("#checkboxes input"), pattern, strict=True)):
        if box.checked != bool(on):
            return view.click(box, f"row {number // 4 + 1}, column {number % 4 + 1}")
    return view.click(view.one("#subbtn"))


@solves("navigate-tree")
def navigate_tree(view: View) -> Decision:
    wanted = quoted(view.goal)
    shown = [node for node in view.all("#tree li > span") if node.text == wanted and node.spot]
    if shown:
        return view.click(shown[0])
    script = """wanted => {
      const all = [...document.querySelectorAll('#tree li > span')];
      const name = all.find(node => node.textContent === wanted);
      let folder = name.parentElement.parentElement.closest('li');
      while (folder && !folder.getBoundingClientRect().height) folder = folder.parentElement.closest('li');
      return folder ? all.indexOf(folder.querySelector('span')) : -1;
    }"""
    return view.click(view.every("#tree li > span")[view.ask(script, wanted)])


@solves("ascending-numbers")
def ascending_numbers(view: View) -> Decision:
    first = [node for node in view.all("svg text") if node.text == "1"]
    if first:
        return view.click(first[0])
    return view.click(view.one("svg rect"), "the next number")
