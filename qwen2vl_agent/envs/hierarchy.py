"""The XML of `uiautomator dump`, to and from elements; both ways lose nothing of an `Element`."""

import re
import xml.etree.ElementTree as ElementTree  # nosec B405
from collections.abc import Iterable

from qwen2vl_agent.schema.errors import DeviceLost
from qwen2vl_agent.schema.observation import Element

CLASS_OF_ROLE = {
    "button": "android.widget.Button",
    "icon": "android.widget.ImageButton",
    "row": "android.widget.LinearLayout",
    "switch": "android.widget.Switch",
    "checkbox": "android.widget.CheckBox",
    "field": "android.widget.EditText",
    "text": "android.widget.TextView",
    "tab": "android.app.ActionBar$Tab",
    "key": "android.inputmethodservice.Keyboard$Key",
    "image": "android.widget.ImageView",
    "list": "androidx.recyclerview.widget.RecyclerView",
    "radio": "android.widget.RadioButton",
    "slider": "android.widget.SeekBar",
}
"""Roles as Android's widget classes."""
OWN_CLASSES = "org.virtualphone.widget."
"""Where a role that Android has no class for gets one, as apps with widgets of their own do."""
ROLE_OF_CLASS = {name: role for role, name in CLASS_OF_ROLE.items()} | {
    "android.widget.CompoundButton": "switch",
    "android.widget.ToggleButton": "switch",
    "android.widget.CheckedTextView": "checkbox",
    "android.widget.AutoCompleteTextView": "field",
    "android.widget.MultiAutoCompleteTextView": "field",
    "android.widget.ListView": "list",
    "android.widget.ScrollView": "list",
    "android.widget.TabWidget": "tab",
    "androidx.appcompat.app.ActionBar$Tab": "tab",
}
DESCRIBED = frozenset({"icon", "image", "row", "key", "list"})
"""Roles whose words are a content description, not written text."""
BOUNDS = re.compile(r"\[(-?\d{1,6}),(-?\d{1,6})\]\[(-?\d{1,6}),(-?\d{1,6})\]")
NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold; uiautomator writes a full stop for each."""
HEADER = "<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>"


def to_xml(elements: Iterable[Element], *, package: str, size: tuple[int, int], rotation: int = 0) -> str:
    """The dump of a screen that shows `elements` of one package."""
    hierarchy = ElementTree.Element("hierarchy", {"rotation": str(rotation)})
    whole = Element("", "", (0, 0, *size), clickable=False)
    root = ElementTree.SubElement(hierarchy, "node", _attributes(0, whole, "android.widget.FrameLayout", package))
    for index, element in enumerate(elements):
        ElementTree.SubElement(root, "node", _attributes(index, element, _class_of(element.role), package))
    return HEADER + ElementTree.tostring(hierarchy, encoding="unicode")


def _class_of(role: str) -> str:
    return CLASS_OF_ROLE.get(role) or OWN_CLASSES + role


def _role_of(class_name: str) -> str:
    if class_name.startswith(OWN_CLASSES):
        return class_name.removeprefix(OWN_CLASSES)
    return ROLE_OF_CLASS.get(class_name, "row")


def _attributes(index: int, element: Element, class_name: str, package: str) -> dict[str, str]:
    words = NOT_IN_XML.sub(".", element.text)
    described = element.role in DESCRIBED
    left, top, right, bottom = element.bounds
    return {
        "index": str(index),
        "text": "" if described else words,
        "resource-id": element.resource_id,
        "class": class_name,
        "package": package,
        "content-desc": words if described else "",
        "checkable": _flag(element.checked is not None),
        "checked": _flag(bool(element.checked)),
        "clickable": _flag(element.clickable),
        "enabled": "true",
        "focusable": _flag(element.clickable or element.focused),
        "focused": _flag(element.focused),
        "scrollable": _flag(element.scrollable),
        "long-clickable": "false",
        "password": "false",
        "selected": "false",
        "bounds": f"[{left},{top}][{right},{bottom}]",
    }


def _flag(value: bool) -> str:
    return "true" if value else "false"


def whole_tree(text: str) -> str:
    """The dump without what uiautomator says around it.

    Raises:
        DeviceLost: there is none.
    """
    end = text.find("</hierarchy>")
    if end < 0:
        raise DeviceLost(f"the phone gives no accessibility tree: {text.strip()[:200]!r}")
    return text[: end + len("</hierarchy>")]


def parse_xml(text: str) -> list[Element]:
    """The elements of a dump, in reading order of the tree.

    Containers that only hold others are left out. A clickable one without words of its own takes those inside it.

    Raises:
        DeviceLost: the text is no dump.
    """
    start = text.find("<hierarchy")
    if start < 0:
        raise DeviceLost("the phone's `uiautomator dump` is no XML with a hierarchy; is its screen on?")
    try:
        # Cut off before the root element, a text has no place left for a DOCTYPE, and so no entities to expand.
        root = ElementTree.fromstring(text[start:])  # nosec B314
    except (ElementTree.ParseError, UnicodeEncodeError) as error:
        raise DeviceLost(f"the phone's `uiautomator dump` is no XML ({error}); is its screen on?") from None
    return [element for node in root.iter("node") if (element := _element(node)) is not None]


def _element(node: ElementTree.Element) -> Element | None:
    get = node.attrib.get
    role = _role_of(get("class", ""))
    words = get("text") or get("content-desc") or ""
    clickable, checkable = get("clickable") == "true", get("checkable") == "true"
    scrollable = get("scrollable") == "true"
    if not words and clickable and role == "row":
        words = _words_inside(node)
    match = BOUNDS.fullmatch(get("bounds", ""))
    container = role == "row" and not (words or get("resource-id") or clickable or checkable or scrollable)
    if match is None or container:
        return None
    left, top, right, bottom = (int(number) for number in match.groups())
    return Element(
        text=words,
        role=role,
        bounds=(left, top, right, bottom),
        resource_id=get("resource-id", ""),
        clickable=clickable,
        checked=get("checked") == "true" if checkable else None,
        focused=get("focused") == "true",
        scrollable=scrollable,
    )


def _words_inside(node: ElementTree.Element) -> str:
    words = (inner.get("text") or inner.get("content-desc") for inner in node.iter("node") if inner is not node)
    return ", ".join(word for word in words if word)
