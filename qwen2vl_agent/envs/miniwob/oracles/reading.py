"""Pages on which something is read, counted or worked out, and the answer typed."""

import re

from qwen2vl_agent.envs.miniwob.oracles.registry import found, quoted, solves
from qwen2vl_agent.envs.miniwob.view import Node, View
from qwen2vl_agent.envs.tasks.task import Decision


def _answer(view: View, field: str, text: str) -> Decision:
    return view.steps(view.fill(view.one(field), text, "the text field"), view.click(view.one("#subbtn")))


@solves("simple-arithmetic")
def simple_arithmetic(view: View) -> Decision:
    one, sign, other = view.one("#math-problem").text.rstrip(" =").split(" ")
    results = {"+": int(one) + int(other), "-": int(one) - int(other), "x": int(one) * int(other)}
    return _answer(view, "#math-answer", str(results[sign]))


@solves("simple-algebra")
def simple_algebra(view: View) -> Decision:
    one, sign, other, _, result = view.one("#math-problem").text.split(" ")
    if one == "x":
        x = int(result) - int(other) if sign == "+" else int(result) + int(other)
    else:
        x = int(result) - int(one) if sign == "+" else int(one) - int(result)
    return _answer(view, "#math-answer", str(x))


@solves("visual-addition")
def visual_addition(view: View) -> Decision:
    return _answer(view, "#math-answer", str(len(view.all(".addition-block"))))


def _table(view: View) -> dict[str, str]:
    cells = [node.text for node in view.all("#tab td")]
    return dict(zip(cells[::2], cells[1::2], strict=True))


@solves("read-table")
def read_table(view: View) -> Decision:
    return _answer(view, "#tt", _table(view)[found(r"value of (.*) into", view.goal)])


@solves("read-table-2")
def read_table_2(view: View) -> Decision:
    table = _table(view)
    for number in (1, 2):
        key = view.one(f"#ll{number}").text.removesuffix(":")
        step = view.fill(view.one(f"#tt{number}"), table[key], key)
        if step is not None:
            return step
    return view.click(view.one("#subbtn"))


LEFT_BELOW = (
    "css => { const box = document.querySelector(css); return box.scrollHeight - box.scrollTop - box.clientHeight; }"
)


def _to_the_end(view: View, selector: str) -> Decision | None:
    """Turn the wheel until a text's end is in sight; None when it is."""
    if view.ask(LEFT_BELOW, selector) < 3:
        return None
    return view.scroll(view.one(selector).middle, 15, "The end is not here: scroll down.")


@solves("scroll-text")
def scroll_text(view: View) -> Decision:
    area = view.one("#text-area")
    word = re.sub(r"[^a-zA-Z0-9]", "", (area.value or "").split()[-1])
    return view.steps(_to_the_end(view, "#text-area"), _answer(view, "#answer-input", word))


@solves("scroll-text-2")
def scroll_text_2(view: View) -> Decision:
    if "to the bottom" in view.goal:
        return view.steps(_to_the_end(view, "#text-area"), view.click(view.one("#subbtn")))
    if view.ask("() => document.querySelector('#text-area').scrollTop") > 0:
        return view.scroll(view.one("#text-area").middle, -15, "The beginning is not here: scroll up.")
    return view.click(view.one("#subbtn"))


@solves("sign-agreement")
def sign_agreement(view: View) -> Decision:
    if "cancel button" in view.goal:
        return view.click(view.one("#cancel"))
    name = view.one("#name")
    if "disabled" in name.attributes:
        return view.scroll(view.one("#text-area").middle, 15, "The end is not here: scroll down.")
    button = "#agree" if "Agree" in view.goal else "#cancel"
    return view.steps(view.fill(name, quoted(view.goal)), view.click(view.one(button)))


@solves("terminal")
def terminal(view: View) -> Decision:
    if not view.every("#terminal-target")[0].focused:
        return view.click(view.one("#terminal"), "the terminal")
    listed = [node.text for node in view.every(".terminal-line .command")]
    if "ls" not in listed:
        return view.type("ls\n")
    files: list[str] = view.ask("() => currentFiles")
    ending = re.search(r"extension (\.[\w.]+)$", view.goal)
    wanted = next(name for name in files if (name.endswith(ending[1]) if ending else "." not in name))
    return view.type(f"rm {wanted}\n")


@solves("search-engine")
def search_engine(view: View) -> Decision:
    place = int(found(r"the (\d+)\w\w search result", view.goal)) - 1
    shown = view.all("#page-content a")
    for node in shown:
        if node.attributes["data-result"] == str(place):
            return view.click(node, f"result {place + 1}")
    field = view.one("#search-text")
    if shown and field.value == quoted(view.goal) and shown[0].attributes["data-result"] != "-1":
        return view.click(view.saying("#pagination a", str(place // 3 + 1)))
    return view.steps(view.fill(field, quoted(view.goal), "the search field"), view.click(view.one("#search")))


@solves("use-autocomplete", "use-autocomplete-nodelay")
def use_autocomplete(view: View) -> Decision:
    words = re.findall(r'"(.*?)"', view.goal)
    begin, end = words[0], words[1] if len(words) > 1 else ""
    field = view.one("#tags")
    menu = view.all(".ui-autocomplete li")
    value = field.value or ""
    if value.startswith(begin) and value.endswith(end) and value in view.ask("() => ui_utils.COUNTRIES") and not menu:
        return view.click(view.one("#subbtn"))
    suiting = [node for node in menu if node.text.startswith(begin) and node.text.endswith(end)]
    reachable = [node for node in suiting if node.spot]
    if reachable:
        return view.click(reachable[0])
    wanted = next(
        name for name in view.ask("() => ui_utils.COUNTRIES") if name.startswith(begin) and name.endswith(end)
    )
    return view.steps(view.fill(field, wanted, "the field"), view.keys("escape"))


@solves("text-transform")
def text_transform(view: View) -> Decision:
    return _answer(view, "#tt", view.one("#captcha").text)


@solves("buy-ticket")
def buy_ticket(view: View) -> Decision:
    measure = "time-duration" if "duration" in view.goal else "buy-ticket"
    name = "data-duration" if "duration" in view.goal else "data-price"
    values = [int(node.attributes[name]) for node in view.all(f".flight .{measure}")]
    best = max(values) if "longest" in view.goal or "most expensive" in view.goal else min(values)
    return view.click(view.all(".flight .buy-ticket")[values.index(best)])


PRICE = "() => document.getElementById('stock-price').textContent"


@solves("stock-market")
def stock_market(view: View) -> Decision:
    """The price changes ten times a second, and stands still while one looks."""
    limit = float(found(r"less than \$([\d.]+)", view.goal).rstrip("."))
    price = view.ask(PRICE)
    if price and float(price.strip("$")) <= limit:
        return view.click(view.one("#buy"))
    return view.wait(0.1, f"{price} is too much: wait.")


def _number(node: Node) -> int:
    return int(node.text)


@solves("use-slider")
def use_slider(view: View) -> Decision:
    wanted = int(found(r"Select (-?\d+) with the slider", view.goal))
    return view.steps(_slide(view, "#slider", "#val", wanted), view.click(view.one("#subbtn")))


@solves("use-slider-2")
def use_slider_2(view: View) -> Decision:
    wanted = [int(number) for number in re.findall(r"-?\d+", view.goal)]
    steps = (_slide(view, f"#slider-{place}", f"#val-{place}", number) for place, number in enumerate(wanted, start=1))
    return next((step for step in steps if step is not None), None) or view.click(view.one("#subbtn"))


@solves("form-sequence")
def form_sequence(view: View) -> Decision:
    number, place = re.findall(r"Select (-?\d+) with .* the (\d)\w\w checkbox", view.goal)[0]
    box = view.one(f"#checkbox-{place}")
    tick = None if box.checked else view.click(box, f"checkbox {place}")
    return view.steps(_slide(view, "#slider", "#val", int(number)), tick, view.click(view.one("#subbtn")))


LIMITS = "css => ['min', 'max', 'orientation'].map(name => $(css).slider('option', name))"


def _slide(view: View, selector: str, shown: str, wanted: int) -> Decision | None:
    """Click the track where the number should be, then correct by arrow keys; None when it is there."""
    now = _number(view.one(shown))
    if now == wanted:
        return None
    low, high, way = view.ask(LIMITS, selector)
    track, handle = view.one(selector), view.one(f"{selector} .ui-slider-handle")
    share = (wanted - low) / (high - low)
    if handle.focused and abs(now - wanted) <= 2:
        return view.keys("right" if now < wanted else "left", f"{now} is too {'little' if now < wanted else 'much'}.")
    left, top, right, bottom = track.box
    if way == "vertical":
        at = ((left + right) / 2, bottom - share * (bottom - top))
    else:
        at = (left + share * (right - left), (top + bottom) / 2)
    return view.drag(handle.spot or handle.middle, at, f"The handle is here: drag it to {wanted}.")


@solves("use-spinner")
def use_spinner(view: View) -> Decision:
    wanted, now = int(found(r"Select (-?\d+)", view.goal)), int(view.one("#spinner").value or 0)
    if now == wanted:
        return view.click(view.one("#subbtn"))
    way = "up" if now < wanted else "down"
    return view.click(view.one(f".ui-spinner-{way}"), way)


@solves("resize-textarea")
def resize_textarea(view: View) -> Decision:
    if any(sent["action"] == "drag" for sent in view.history):
        return view.click(view.one("#submit"))
    x, y = view.one(".ui-resizable-se").middle
    by = 15 if "larger" in view.goal else -15
    end = (x + by, y) if "width" in view.goal else (x, y + by)
    return view.drag((x, y), end, "The corner is here: drag it.")
