"""What a phone's content should become: what it was at the start, with the changes that a task asks for."""

from collections.abc import Mapping
from typing import Any


def with_changes(before: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Entries by name after the changes; a change to None takes the entry away."""
    after = {**before, **changes}
    return {name: value for name, value in after.items() if value is not None}


def missing(now: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Names that should be there and are not."""
    return [name for name in wanted if name not in now]


def extra(now: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Names that are there and should not be."""
    return [name for name in now if name not in wanted]


def differing(now: Mapping[str, Any], wanted: Mapping[str, Any], part: int) -> list[str]:
    """Names whose value differs in one part; a wanted part of None agrees with any."""
    return [
        name
        for name, value in wanted.items()
        if name in now and value[part] is not None and now[name][part] != value[part]
    ]


def agrees(now: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether everything is as wanted."""
    parts = max((len(value) for value in wanted.values()), default=0)
    return (
        not missing(now, wanted)
        and not extra(now, wanted)
        and not any(differing(now, wanted, part) for part in range(parts))
    )
