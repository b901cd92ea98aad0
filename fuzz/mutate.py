"""Valid input made invalid: bytes, text and JSON values, a few changes at a time so that most of it stays sound."""

import copy
import random
from typing import Any

NUMBERS = (0, 1, -1, 2, 7, 127, 255, 256, 65535, 2**31 - 1, 2**31, 2**32, 2**53, 2**63, 2**64, 10**30, -(2**63))
FLOATS = (0.5, -0.0, 1e-320, 1e308, -1e308, float("inf"), float("-inf"), float("nan"))
TEXTS = (
    "", " ", "0", "-1", "\0", "../../etc/passwd", "/etc/passwd", "..", "C:\\x", "a" * 5000, "\ud800", "é✿RESULT✿",
    "<tool_call>", "<|im_end|>", "__class__", "{0.__class__}", "%s%n", "'; --", "null", "NaN", "s3://b/k", "data:,",
    "file:///etc/passwd", "١٢", "²", "1e999",
)  # fmt: skip
CHUNKS = (b"\0" * 4, b"\xff" * 4, b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\xff" * 8, b"\0\0\0\1", b"\n", b"{", b"[" * 64)


def some_bytes(rng: random.Random, seed: bytes, most: int = 6) -> bytes:
    """`seed` after one to `most` changes: bits flipped, numbers set, stretches cut, doubled, moved; or mere noise."""
    if rng.random() < 0.02:
        return rng.randbytes(rng.randrange(200))
    data = bytearray(seed)
    for _ in range(rng.randint(1, most)):
        _change(rng, data)
    return bytes(data)


def _change(rng: random.Random, data: bytearray) -> None:
    # Half of all changes fall near the beginning, where formats keep what rules the rest.
    reach = min(len(data), 128) if rng.random() < 0.5 else len(data)
    at, length = rng.randrange(reach + 1), rng.choice((1, 2, 4, 16, 64, 1000))
    way = rng.randrange(8)
    if way == 0:
        del data[at:]
    elif way == 1:
        del data[at : at + length]
    elif way == 2:
        data[at:at] = data[at : at + length]
    elif way == 3:
        data[at : at + 4] = rng.choice(CHUNKS)
    elif way == 4:
        data[at:at] = rng.randbytes(length)
    elif way == 5 and data:
        other = rng.randrange(len(data))
        data[at : at + length] = data[other : other + length]
    elif at < len(data):
        data[at] = data[at] ^ (1 << rng.randrange(8)) if way == 6 else rng.randrange(256)


def some_text(rng: random.Random, seed: str, pieces: tuple[str, ...] = ()) -> str:
    """`seed` with stretches cut, doubled and replaced, among others by `pieces`, which mean something there."""
    text = seed
    for _ in range(rng.randint(1, 5)):
        at, length = rng.randrange(len(text) + 1), rng.choice((0, 1, 2, 5, 30))
        way = rng.randrange(5)
        new = (
            "" if way == 0
            else text[at : at + length] * 2 if way == 1
            else rng.choice(pieces or TEXTS) if way == 2
            else chr(rng.choice((rng.randrange(32, 127), rng.randrange(0xD800), rng.randrange(0xE000, 0x110000))))
            if way == 3
            else rng.choice(TEXTS)
        )  # fmt: skip
        text = text[:at] + new + text[at + length :]
    return text[: rng.randrange(len(text) + 1)] if rng.random() < 0.1 else text


def some_value(rng: random.Random, depth: int = 2) -> Any:
    """A JSON value of any kind. What is too deep for a parser comes as text: `json.dumps` could not write it."""
    if rng.random() < 0.01:
        return _nested(rng.choice((50, 200)))
    way = rng.randrange(8 if depth else 6)
    if way == 0:
        return rng.choice((None, True, False))
    if way == 1:
        return rng.choice(NUMBERS)
    if way == 2:
        return rng.choice(FLOATS)
    if way in (3, 4, 5):
        return rng.choice(TEXTS)
    if way == 6:
        return [some_value(rng, depth - 1) for _ in range(rng.randrange(4))]
    return {rng.choice(TEXTS): some_value(rng, depth - 1) for _ in range(rng.randrange(4))}


def _nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def some_json(rng: random.Random, seed: Any, most: int = 3) -> Any:
    """A copy of `seed` with one to `most` places replaced, removed, doubled or exchanged."""
    value = [copy.deepcopy(seed)]
    for _ in range(rng.randint(1, most)):
        places = list(_places(value, 0))
        holder, key = rng.choice(places)
        way = rng.randrange(6)
        if way == 0 and holder is not value:
            del holder[key]
        elif way == 1 and isinstance(holder, list) and holder is not value:
            holder.insert(key, copy.deepcopy(holder[key]))
        elif way == 2:
            other, name = rng.choice(places)
            if _still(other, name):
                holder[key] = copy.deepcopy(other[name])
        elif way == 3 and isinstance(holder[key], int) and not isinstance(holder[key], bool):
            holder[key] += rng.choice((1, -1, 1000, -1000))
        elif way == 4 and isinstance(holder[key], str):
            holder[key] = some_text(rng, holder[key])
        else:
            holder[key] = some_value(rng)
    return value[0]


def _still(holder: Any, key: Any) -> bool:
    return key in holder if isinstance(holder, dict) else key < len(holder)


def _places(value: Any, depth: int) -> Any:
    """Every (container, key) inside; not all the way down what is nested absurdly deep."""
    if depth > 12:
        return
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list) and value[key]:
            yield from _places(value[key], depth + 1)
