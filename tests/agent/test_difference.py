"""What sets two replies apart on one screen."""

import pytest

from qwen2vl_agent.agent.difference import Said, difference
from qwen2vl_agent.schema.geometry import Frame
from qwen2vl_agent.schema.observation import Element
from qwen2vl_agent.schema.tools import ToolCall

ROWS = [Element(text=name, bounds=(0, top, 100, top + 100), role="row", clickable=True) for name, top in
        (("Ann", 0), ("Bob", 100))]  # fmt: skip


def tap(x: int, y: int) -> ToolCall:
    return ToolCall("tap", {"point": [x, y]})


@pytest.mark.parametrize(
    ("said", "call", "wanted", "thought", "kind"),
    [
        ('"Ann" is here: tap it.', tap(900, 400), tap(500, 250), '"Ann" is here: tap it.', ""),
        ('"Ann" is here: tap it.', tap(500, 750), tap(500, 250), '"Ann" is here: tap it.', "right name"),
        ('"Bob" is here: tap it.', tap(500, 750), tap(500, 250), '"Ann" is here: tap it.', "another name"),
        ('"Ann" is here: tap it.', tap(500, 250), ToolCall("swipe", {}), '"Ann" is not here: scroll down.', "it sees"),
        ('"Ann" is not here: scroll down.', ToolCall("swipe", {}), tap(1, 1), '"Ann" is here: tap it.', "it misses"),
        ("Done.", ToolCall("done", {}), tap(1, 1), '"Ann" is here: tap it.', "it ends too early"),
        ("", None, tap(1, 1), "", "cannot be read"),
        ("x", ToolCall("answer", {"text": "3"}), ToolCall("answer", {"text": "4"}), "y", "read wrongly"),
        ("x", ToolCall("type_text", {"text": "3"}), ToolCall("type_text", {"text": "4"}), "y", "another text"),
    ],
)
def test_what_sets_two_replies_apart(said, call, wanted, thought, kind):
    found = difference(Said(said, call), Said(thought, wanted), ROWS, Frame("device", 100, 200))
    assert kind in found
    assert bool(kind) == bool(found)
