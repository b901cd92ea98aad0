"""What can be used on a page, in words with places: what a model that learns to see writes down before it acts.

A solution that says only what it clicks teaches a small model the places of a page, and reading not at all
(docs/design/0029-miniwob-learned.md). Never shown to a model that acts: it has to see this by itself.
"""

from qwen2vl_agent.envs.miniwob.oracles.shapes import TAGS, kind_of
from qwen2vl_agent.envs.miniwob.view import Node, View
from qwen2vl_agent.schema.geometry import MODEL_FRAME

USABLE = (
    "#area button, #area a, #area input, #area textarea, #area [data-color], #area svg > *, #math-problem,"
    " .ui-dialog button"
)
"""What is written down of a page; of text that only fills it, nothing."""
SILENT = ("plot-point", "ui-dialog-content")
"""Classes of what stands in the same places on every page."""
MOST = 12
"""Things that are written down at most."""


def what_is_seen(view: View) -> str:
    """The usable things of a page in reading order, each with its place in a thousandth of the picture's sides.

    `x 843 401, Cancel 420 655, OK 660 655.`; empty where there are none.
    """
    shown = [node for node in view.all(USABLE) if node.spot and not set(SILENT) & set(node.classes)]
    shown.sort(key=lambda node: (round(node.middle[1] / 8), node.middle[0]))
    told = ", ".join(f"{_name(node)} {_place(view, node)}".lstrip() for node in shown[:MOST])
    return f"{told}." if told else ""


def _place(view: View, node: Node) -> str:
    assert node.spot is not None
    point = view.point(node.spot).to(MODEL_FRAME)
    return f"{point.x} {point.y}"


def _name(node: Node) -> str:
    """What it is called: its kind on pages that ask for kinds, else what stands on it."""
    given = node.attributes
    if "data-color" in given:
        return given["data-color"]
    if given.get("data-type") in ("radio", "checkbox", "text", "textarea", "button"):
        return given["data-type"]
    if node.tag in TAGS or node.tag == "text":
        return f"{node.attributes.get('fill', '')} {' '.join(dict.fromkeys(kind_of(node)))}".strip()
    if node.tag in ("input", "textarea"):
        return f'field "{node.value or ""}"'
    return "x" if "ui-dialog-titlebar-close" in node.classes else node.text or node.tag
