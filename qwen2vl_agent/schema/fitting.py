"""Whether values from outside have the types that a dataclass says."""

import types
import typing
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin


def misfit(item: Any) -> str | None:
    """What is wrong with the first field of a dataclass that holds another type than its hint; None: all fit.

    Whole numbers stand for floats. Of a `Literal` only the type is compared: a later version may know more words.
    """
    for name, hint in _hints(item.__class__).items():
        value = getattr(item, name)
        if not _fits(value, hint):
            told = repr(value)
            return f"{name} is {told if len(told) <= 60 else told[:57] + '…'}"
    return None


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _fits(value: Any, hint: Any) -> bool:
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return any(_fits(value, kind) for kind in args)
    if origin is Literal:
        return type(value) in {type(option) for option in args}
    if origin is tuple:  # tuple[X, ...]
        return type(value) is tuple and all(_has(kind, args[0]) for kind in set(map(type, value)))
    if origin is list:
        return type(value) is list and all(_has(kind, args[0]) for kind in set(map(type, value)))
    if origin is dict and get_origin(args[1]) is list:
        return type(value) is dict and all(_fits(item, args[1]) for item in value.values())
    if origin is dict:
        return type(value) is dict and all(_has(kind, args[1]) for kind in set(map(type, value.values())))
    return _has(type(value), hint)


def _has(kind: type, hint: Any) -> bool:
    """Whether values of `kind` fit a plain hint."""
    if get_origin(hint) is Literal:
        return any(kind is type(option) for option in get_args(hint))
    if hint is Any:
        return True
    return kind is (get_origin(hint) or hint) or (hint is float and kind is int)


def is_sha256(value: str) -> bool:
    """Whether it is a SHA-256 in lower-case hexadecimal digits, fit to be a file's name."""
    return len(value) == 64 and all(digit in "0123456789abcdef" for digit in value)
