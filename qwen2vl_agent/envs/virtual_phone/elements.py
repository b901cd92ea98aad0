"""What an accessibility tree tells of a screen, and what a touch on it reaches."""

import dataclasses
from collections.abc import Sequence

from qwen2vl_agent.envs.virtual_phone.layout import Part
from qwen2vl_agent.envs.virtual_phone.widgets import Target
from qwen2vl_agent.schema.observation import Element

LISTED_SHARE = 0.6
"""An element is listed when this much of its height can be seen."""


def target_at(parts: Sequence[Part], x: float, y: float) -> Target | None:
    """The uppermost target that takes a touch at a point in dp."""
    return next((part.placed.target for part in reversed(parts) if _takes(part, x, y)), None)


def list_elements(parts: Sequence[Part], scale: float) -> list[Element]:
    """The elements that can be seen, in reading order, in pixels (`scale` of them per dp)."""
    blockers = [(index, part) for index, part in enumerate(parts) if _blocks(part)]
    found = []
    for index, part in enumerate(parts):
        element = _element(part, scale)
        if element is None:
            continue
        x, y = _middle(element, scale)
        covered = any(place > index and _takes(other, x, y) for place, other in blockers)
        if not covered or element.role == "list":
            found.append(element)
    return sorted(found, key=lambda element: (element.bounds[1], element.bounds[0]))


def mirrored(elements: Sequence[Element], width: int) -> list[Element]:
    """The elements of a screen that is laid out from right to left, `width` pixels wide, in reading order."""
    turned = [
        dataclasses.replace(
            element, bounds=(width - element.bounds[2], element.bounds[1], width - element.bounds[0], element.bounds[3])
        )
        for element in elements
    ]
    return sorted(turned, key=lambda element: (element.bounds[1], -element.bounds[2]))


def _middle(element: Element, scale: float) -> tuple[float, float]:
    left, top, right, bottom = element.bounds
    return (left + right) / 2 / scale, (top + bottom) / 2 / scale


def _element(part: Part, scale: float) -> Element | None:
    """The element of a part; None where too little of it can be seen."""
    target = part.placed.target
    if target is None or not target.listed:
        return None
    seen = part.placed.rect.clip(part.clip)
    if seen.width <= 0 or seen.height <= 0 or seen.height < LISTED_SHARE * part.placed.rect.height:
        return None
    return Element(
        text=target.text,
        role=target.role,
        bounds=(
            round(seen.left * scale),
            round(seen.top * scale),
            round(seen.right * scale),
            round(seen.bottom * scale),
        ),
        resource_id=target.id,
        clickable=target.clickable,
        checked=target.checked,
        focused=target.focused,
        scrollable=target.scrollable,
    )


def _blocks(part: Part) -> bool:
    target = part.placed.target
    return target is not None and (target.clickable or target.blocks or target.on_drag is not None)


def _takes(part: Part, x: float, y: float) -> bool:
    return _blocks(part) and part.placed.rect.contains(x, y) and part.clip.contains(x, y)
