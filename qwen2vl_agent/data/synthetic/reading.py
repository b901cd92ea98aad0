"""Questions about a picture, and the conversation that they make: many to one, since the picture costs most."""

import random
from collections.abc import Iterable

from qwen2vl_agent.data.example import Example
from qwen2vl_agent.data.synthetic.canvas import Item
from qwen2vl_agent.schema.messages import ImagePart, Message, Part, TextPart

SYSTEM = "Read."
READ = ""
"""To transcribe is what is asked where nothing else is."""


def point_text(item: Item) -> str:
    """A point as the published models write it. Source: technical report §2.2 (visual grounding)."""
    x, y = item.centre
    return f"<|box_start|>({x},{y})<|box_end|>"


def box_text(box: tuple[int, int, int, int]) -> str:
    """A box as the published models write it. Source: as `point_text`."""
    left, top, right, bottom = box
    return f"<|box_start|>({left},{top}),({right},{bottom})<|box_end|>"


def read(items: tuple[Item, ...]) -> tuple[str, str]:
    """Asks for all texts, each on a line of its own."""
    return READ, "\n".join(item.text for item in items)


def looks_in_turn(looks: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
    """Where the texts of `read` are to be read, each with the line's end that follows it."""
    return tuple(place for text in looks for place in (*text, -1))[:-1]


def find(item: Item) -> tuple[str, str]:
    """Asks where a text stands."""
    return f'Where is "{item.text}"?', point_text(item)


def name(item: Item, rng: random.Random) -> tuple[str, str]:
    """Asks what stands at a random point of the item's box."""
    left, top, right, bottom = item.box
    x, y = rng.randint(left, max(left, right - 1)), rng.randint(top, max(top, bottom - 1))
    return f"What is at ({x},{y})?", item.text


def conversation(
    image: object, turns: list[tuple[str, str]], source: str, looks: dict[int, tuple[int, ...]] | None = None
) -> Example:
    """A dialogue about one picture. `looks` tells of some answers where they are read."""
    return dialogue(ImagePart(image), turns, source, looks)


def dialogue(
    shown: Part, turns: list[tuple[str, str]], source: str, looks: dict[int, tuple[int, ...]] | None = None
) -> Example:
    """Questions about a picture or a video that is shown with the first; every answer is a target.

    The system message is one word: the usual one would be half of an example that reads three letters.
    """
    messages = [Message("system", (TextPart(SYSTEM),))]
    for index, (question, answer) in enumerate(turns):
        asked = (TextPart(question),) if question != READ else ()
        parts = (shown, *asked) if index == 0 else asked
        told = TextPart(answer, target=True, looks=looks.get(index) if looks else None)
        messages += [Message("user", parts), Message("assistant", (told,))]
    return Example(messages, source)
