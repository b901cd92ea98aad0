"""Pages with posts, messages and menus of many items."""

import re

from qwen2vl_agent.envs.miniwob.oracles.registry import found, quoted, solves
from qwen2vl_agent.envs.miniwob.view import Node, View
from qwen2vl_agent.envs.tasks.task import Decision

LABELS = {
    "Share via DM": "share", "Copy link to Tweet": "copy", "Embed Tweet": "embed", "Mute": "menu-user",
    "Block": "block-user", "Report": "report", "Reply": "reply", "Retweet": "retweet", "Like": "like",
    "Share": "share",
}  # fmt: skip
IN_THE_OPEN = ("reply", "retweet", "like")


@solves("social-media")
def social_media(view: View) -> Decision:
    user, action = found(r"the user (@\S+),", view.goal), LABELS[quoted(view.goal)]
    names = [node.text for node in view.all(".media .username")]
    post = names.index(user) + 1
    inside = f".media:nth-of-type({post})"
    if action in IN_THE_OPEN:
        return _press(view, view.one(f"{inside} .{action}"), f"{action} of {user}")
    item = view.all(f"{inside} ul .{action}")
    if item:
        return _press(view, item[0], item[0].text)
    return _press(view, view.one(f"{inside} .more"), f"more of {user}")


@solves("social-media-all", "social-media-some")
def social_media_all(view: View) -> Decision:
    action = LABELS[quoted(view.goal)]
    user = found(r"by (@\S+) and then", view.goal)
    number = re.search(r"on (\d+) posts?", view.goal)
    names = [node.text for node in view.all(".media .username")]
    buttons = view.all(f".media .{action}")
    mine = [button for button, name in zip(buttons, names, strict=True) if name == user]
    left = (int(number[1]) if number else len(mine)) - sum("active" in button.classes for button in mine)
    for button in mine:
        if left > 0 and "active" not in button.classes:
            return _press(view, button, f"{action} of {user}")
    return _press(view, view.one("#submitRow button"), "Submit")


def _press(view: View, node: Node, name: str) -> Decision:
    """Click something in the list of posts, scrolling the list first."""
    return view.click(node, name)


@solves("order-food")
def order_food(view: View) -> Decision:
    items = view.all(".food-item")
    adds = view.all(".food-item .add")
    counts = [int(item.attributes["data-quantity"]) for item in items]
    by_name = re.search(r"each item: (.*)$", view.goal)
    if by_name:
        wanted = [name.strip() for name in by_name[1].split(", ")]
        for item, add, count in zip(items, adds, counts, strict=True):
            if item.attributes["data-item"].strip() in wanted and count == 0:
                return view.click(add, item.attributes["data-item"].strip())
    else:
        number, kind = re.findall(r"Order (\d+) items? that are ([\w-]+)", view.goal)[0]
        suiting = view.ask("kind => MENU.map(item => item.types.includes(kind))", kind)
        if sum(counts) < int(number):
            at = next(place for place, item in enumerate(items) if suiting[int(item.attributes["data-id"])])
            return view.click(adds[at], items[at].attributes["data-item"])
    return view.click(view.one("#submit-order button"))
