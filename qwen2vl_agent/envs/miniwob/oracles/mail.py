"""Pages with a mail box."""

import re

from qwen2vl_agent.envs.miniwob.oracles.registry import found, quoted, solves
from qwen2vl_agent.envs.miniwob.view import Node, View
from qwen2vl_agent.envs.tasks.task import Decision

ICONS = {"trash": ".trash", "star": ".star"}


@solves("email-inbox", "email-inbox-noscroll", "email-inbox-delete", "email-inbox-important", "email-inbox-reply")
def email_inbox(view: View) -> Decision:
    icon = re.search(r"click the (trash|star) icon", view.goal)
    sender = found(r"email by (\w+)", view.goal)
    if icon:
        icons = view.all(f"#email {ICONS[icon[1]]}") or _icons(view, sender, ICONS[icon[1]])
        if icons:
            return view.click(icons[0], f"{icon[1]} of {sender}")
        return view.click(_in_thread(view, sender, ".email-sender"), sender)
    reply = "reply to them" in view.goal
    answer = view.all("#reply-text" if reply else ".forward-sender")
    if answer:
        text = quoted(view.goal) if reply else found(r"to (\w+)\.?$", view.goal)
        send = view.one("#send-reply" if reply else "#send-forward")
        return view.steps(view.fill(answer[0], text, "the field"), view.click(send, "send"))
    opened = view.all("#email .email-reply" if reply else "#email .email-forward")
    if opened:
        return view.click(opened[0], "Reply" if reply else "Forward")
    return view.click(_in_thread(view, sender, ".email-sender"), sender)


def _icons(view: View, sender: str, icon: str) -> list[Node]:
    """The icon beside a message of the list; on some pages only an open message has icons."""
    icons = view.all(f"#main .email-thread {icon}")
    senders = [node.text for node in view.all("#main .email-thread .email-sender")]
    return [icons[senders.index(sender)]] if icons else []


def _in_thread(view: View, sender: str, part: str) -> Node:
    senders = [node.text for node in view.all("#main .email-thread .email-sender")]
    return view.all(f"#main .email-thread {part}")[senders.index(sender)]
